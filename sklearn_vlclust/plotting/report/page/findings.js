// What is worth a look: duplicates, outliers, bad pictures, folders that disagree.

const FLAWS = { blurred: "Blurred", dark: "Dark", empty: "Empty", tiny: "Tiny" };

function renderFindings() {
  renderDuplicates();
  renderOutliers();
  renderFlaws();
  renderFolders();
}

function renderDuplicates() {
  const shown = data.duplicates.filter(([group]) => group.some((i) => state.visible[i]));
  byId("duplicate-list").replaceChildren(...shown.map(([group, others, reasons]) => {
    const apart = new Set(group.map(clusterOf)).size > 1;
    const names = group.flatMap((i) => [nameOf(images.name[i]), el("br")]).slice(0, -1);
    return el("li", {},
      thumbnailList(group, "Possible duplicates"),
      el("p", {}, reasons.join(", "), apart ? ", in several clusters" : ""),
      el("p", {}, ...names, others ? `, and ${others.toLocaleString("en")} more` : ""));
  }));
  byId("duplicate-list").hidden = !shown.length;
  note("duplicates", shown.length, data.duplicates.length, "group");
}

function renderOutliers() {
  const shown = data.outliers.filter(([i]) => state.visible[i]);
  const scores = new Map(shown);
  const about = (i) => el("span", {}, `${fixed(scores.get(i), 1)} `, clusterLink(clusterOf(i)));
  byId("outlier-list").replaceChildren(
    ...shown.length ? [thumbnailList(shown.map(([i]) => i), "Outliers", { note: about })] : []);
  note("outliers", shown.length, data.outliers.length, "image");
}

function renderFlaws() {
  const shown = Object.keys(FLAWS).map((flaw) => [flaw, (data.flaws[flaw] ?? []).filter((i) => state.visible[i])]);
  byId("flaw-list").replaceChildren(...shown.filter(([, list]) => list.length).flatMap(([flaw, list]) => [
    el("h3", {}, `${FLAWS[flaw]} (${list.length})`), thumbnailList(list, FLAWS[flaw])]));
  const sum = (lists) => lists.reduce((total, list) => total + list.length, 0);
  note("flaws", sum(shown.map(([, list]) => list)), sum(Object.values(data.flaws)), "image");
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

function renderFolders() {
  byId("folders").hidden = folderNames.length < 2;
  if (folderNames.length < 2) return;
  const rows = state.groups.map((group) => {
    const apart = foldersAmong(group.members).slice(1).flatMap(([, list]) => list).filter((i) => state.visible[i]);
    const button = el("button", { type: "button", onclick: () => showOnly(apart) }, `Show ${apart.length.toLocaleString("en")}`);
    return [clusterLink(group), foldersOf(group, 5), apart.length ? button : ""];
  });
  fillTable(byId("folder-table"), ["cluster", "folders", "in other folders"], rows);
}

// Select images, and show no others.
function showOnly(list) {
  picked.fill(0);
  byId("only-picked").checked = true;
  pick(list);
  byId("results").scrollIntoView();
}

function note(id, shown, all, thing) {
  byId(`${id}-empty`)?.remove();
  const summary = byId(id).querySelector("summary");
  summary.dataset.text ??= summary.textContent;
  summary.textContent = `${summary.dataset.text} (${count(shown, thing)})`;
  if (shown) return;
  const text = all ? "None of the images that match." : "None were found.";
  byId(id).append(el("p", { id: `${id}-empty`, class: "note" }, text));
}
