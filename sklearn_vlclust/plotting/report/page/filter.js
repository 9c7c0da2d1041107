// Which images and clusters are shown, and in what order.

const CLUSTER_ORDERS = {
  label: (a, b) => a.label - b.label,
  size: (a, b) => b.size - a.size,
  name: (a, b) => (a.names[0]?.[0] ?? "").localeCompare(b.names[0]?.[0] ?? "", "en"),
  typicality: (a, b) => (b.typicality ?? -2) - (a.typicality ?? -2),
};
const BY_NAME = 9; // score of an image whose file is called so, above any other

const foldedNames = images.name.map(folded);
let searched = ""; // what the scores are of

// Scores of all images for a text, the least one that counts, and what was understood.
function search(text) {
  const { found, unknown } = vectors ? wordsOf(text) : { found: [], unknown: [] };
  const byWords = found.length ? scoreBy(meaning(found)) : { scores: new Float32Array(N), least: BY_NAME };
  const named = new Set(found.length ? [] : groups.filter((group) =>
    [clusterTitle(group), ...group.names.map(([noun]) => noun)].some((name) => folded(name).includes(text))));
  for (let i = 0; i < N; i++) {
    if (foldedNames[i].includes(text) || named.has(clusterOf(i))) byWords.scores[i] = BY_NAME;
  }
  return { ...byWords, found, unknown };
}

function applyFilter() {
  const text = folded(byId("filter-text").value.trim());
  const result = text ? search(text) : null;
  state.scores = result?.scores ?? null;
  setOrder(text);
  const cluster = byId("filter-cluster").value, folder = byId("filter-folder").value;
  const only = byId("only-picked").checked;
  for (let i = 0; i < N; i++) {
    state.visible[i] = (cluster === "all" || cluster === String(clusterOf(i).number))
      && (folder === "all" || folder === String(folderOf[i]))
      && (!only || picked[i]) && (!result || result.scores[i] >= result.least) ? 1 : 0;
  }
  const compare = CLUSTER_ORDERS[byId("order-clusters").value];
  state.groups = groups.filter((group) => group.members.some((i) => state.visible[i]))
    .sort((a, b) => (a === noise) - (b === noise) || compare(a, b));
  renderFound(text || folder !== "all" || only);
  renderSizes();
  renderCards();
  renderMap();
  renderFindings();
  tell(result);
}

// The best match comes first while one searches, unless another order is asked for.
function setOrder(text) {
  const select = byId("order-images");
  const match = select.options[0];
  match.hidden = !text;
  if (text && text !== searched) select.value = "match";
  else if (!text && select.value === "match") select.value = "typicality";
  searched = text;
  state.order = select.value;
}

function visibleImages() {
  return sortImages([...state.visible.keys()].filter((i) => state.visible[i]), state.order);
}

function renderFound(asked) {
  const found = asked ? visibleImages() : [];
  byId("results").hidden = !found.length;
  byId("found").replaceChildren(...(found.length ? [pictureGrid(found, "Pictures found")] : []));
}

function tell(result) {
  const shown = state.visible.reduce((sum, value) => sum + value, 0);
  const inside = state.groups.filter((group) => group !== noise).length;
  const parts = [shown === N
    ? `All ${count(N, "image")} in ${count(clusters.length, "cluster")}`
    : `${shown.toLocaleString("en")} of ${count(N, "image")}, in ${count(inside, "cluster")}`];
  if (result?.found.length) parts.push(`like ${result.found.map((word) => `“${word}”`).join(" and ")}`);
  if (vectors && result?.unknown.length && (result.found.length || !shown)) parts.push(`not known: ${result.unknown.join(", ")}`);
  byId("status").replaceChildren(...parts.flatMap((part, at) => (at ? ["; ", nameOf(part)] : [part])));
}

function startFilter() {
  byId("filter-text").placeholder = vectors?.words.length ? "what it shows, or a file" : "a file or noun";
  const option = (value, text) => el("option", { value }, text);
  byId("filter-cluster").append(option("all", "all"), ...groups.map((group) => option(group.number, clusterTitle(group))));
  byId("filter-folder").append(option("all", "all"), ...folderNames.map((_, at) => option(at, folderTitle(at))));
  byId("filter-folder").parentNode.hidden = folderNames.length < 2;
  const form = byId("filter");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => event.target.id !== "filter-text" && applyFilter());
  form.addEventListener("reset", () => setTimeout(applyFilter));
  let timer = 0;
  byId("filter-text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const text = folded(byId("filter-text").value.trim());
      byId("filter-words").replaceChildren(...(text.length > 1 ? suggest(text) : []).map((word) => option(word, "")));
      applyFilter();
    }, 150);
  });
  byId("select-found").addEventListener("click", () => pick(visibleImages()));
}
