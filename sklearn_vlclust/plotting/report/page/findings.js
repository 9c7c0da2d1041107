// What is worth a look: duplicates, outliers, bad pictures, folders that disagree.

const FLAWS = { blurred: "Blurred", dark: "Dark", empty: "Empty", tiny: "Tiny" };

// How many of each there are, and the pictures once they are unfolded.
function renderFindings() {
  for (const [id, finding] of Object.entries(FINDINGS)) {
    const shown = finding.find();
    const [summary, unit] = [byId(id).querySelector("summary"), finding.unit];
    summary.dataset.text ??= summary.textContent;
    summary.textContent = summary.dataset.text + (unit ? ` (${count(shown.length, unit)})` : "");
    byId(`${id}-list`).replaceChildren(...(!byId(id).open ? []
      : shown.length ? finding.draw(shown)
        : [el("p", { class: "note" }, finding.all ? "None of the images that match." : "None were found.")]));
  }
}

const isVisible = (i) => state.visible[i];
const FINDINGS = {
  duplicates: {
    unit: "group", all: data.duplicates.length, draw: drawDuplicates,
    find: () => data.duplicates.filter(([group]) => group.some(isVisible)),
  },
  outliers: {
    unit: "image", all: data.outliers.length, draw: drawOutliers,
    find: () => data.outliers.filter(([i]) => isVisible(i)),
  },
  flaws: {
    unit: "image", all: Object.keys(data.flaws).length, draw: drawFlaws,
    find: () => Object.keys(FLAWS).flatMap((flaw) => (data.flaws[flaw] ?? []).filter(isVisible).map((i) => [flaw, i])),
  },
  folders: { all: N, draw: drawFolders, find: () => state.groups },
};

function drawDuplicates(shown) {
  return [el("ul", { class: "pairs" }, ...shown.map(([group, others, reasons]) => {
    const apart = new Set(group.map(clusterOf)).size > 1;
    const names = group.flatMap((i) => [nameOf(images.name[i]), el("br")]).slice(0, -1);
    return el("li", {},
      thumbnailList(group, "Possible duplicates"),
      el("p", {}, reasons.join(", "), apart ? ", in several clusters" : ""),
      el("p", {}, ...names, others ? `, and ${others.toLocaleString("en")} more` : ""));
  }))];
}

function drawOutliers(shown) {
  const scores = new Map(shown);
  const note = (i) => el("span", {}, `${fixed(scores.get(i), 1)} `, clusterLink(clusterOf(i)));
  return [thumbnailList(shown.map(([i]) => i), "Outliers", { note })];
}

function drawFlaws(shown) {
  return Object.keys(FLAWS).flatMap((flaw) => {
    const list = shown.filter(([other]) => other === flaw).map(([, i]) => i);
    return list.length ? [el("h3", {}, `${FLAWS[flaw]} (${list.length})`), thumbnailList(list, FLAWS[flaw])] : [];
  });
}

// Folders of some images, the one with most of them first: [number, images].
function foldersAmong(list) {
  const found = new Map();
  for (const i of list) {
    if (!found.has(folderOf[i])) found.set(folderOf[i], []);
    found.get(folderOf[i]).push(i);
  }
  return [...found].sort((a, b) => b[1].length - a[1].length || a[0] - b[0]);
}

function foldersOf(group, most = 3) {
  const all = foldersAmong(group.members);
  const shown = all.slice(0, most).map(([number, list]) => `${folderTitle(number)} ${list.length.toLocaleString("en")}`);
  return el("span", {}, namesOf(shown), all.length > most ? `, and ${count(all.length - most, "other")}` : "");
}

function drawFolders(shown) {
  const rows = shown.map((group) => {
    const apart = foldersAmong(group.members).slice(1).flatMap(([, list]) => list).filter(isVisible);
    const button = el("button", { type: "button", onclick: () => showOnly(apart) }, `Show ${apart.length.toLocaleString("en")}`);
    return [clusterLink(group), foldersOf(group, 5), apart.length ? button : ""];
  });
  return [fillTable(el("table"), ["cluster", "folders", "in other folders"], rows)];
}

// Select images, and show no others.
function showOnly(list) {
  picked.fill(0);
  byId("only-picked").checked = true;
  pick(list);
  byId("results").scrollIntoView();
}

function startFindings() {
  byId("folders").hidden = folderNames.length < 2;
  for (const id of Object.keys(FINDINGS)) byId(id).addEventListener("toggle", renderFindings);
}
