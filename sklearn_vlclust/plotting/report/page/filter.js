// Which images and clusters are shown, and in what order.

const CLUSTER_ORDERS = {
  label: (a, b) => a.label - b.label,
  size: (a, b) => b.size - a.size,
  name: (a, b) => (a.names[0]?.[0] ?? "").localeCompare(b.names[0]?.[0] ?? "", "en"),
  typicality: (a, b) => (b.typicality ?? -2) - (a.typicality ?? -2),
};

function folded(text) {
  return text.normalize("NFKC").toLowerCase();
}

const foldedNames = images.name.map(folded);

function applyFilter() {
  const text = folded(byId("filter-text").value.trim());
  const only = byId("filter-cluster").value;
  state.order = byId("order-images").value;
  state.text = text;
  state.visible.fill(0);
  for (const group of groups) {
    if (only !== "all" && only !== String(group.number)) continue;
    const named = [clusterTitle(group), ...group.names.map(([noun]) => noun)]
      .some((name) => folded(name).includes(text));
    for (const i of group.members) state.visible[i] = named || foldedNames[i].includes(text) ? 1 : 0;
  }
  const compare = CLUSTER_ORDERS[byId("order-clusters").value];
  state.groups = groups.filter((group) => group.members.some((i) => state.visible[i]))
    .sort((a, b) => (a === noise) - (b === noise) || compare(a, b));
  renderSizes();
  renderCards();
  renderMap();
  renderDuplicates();
  renderOutliers();
  tell();
}

function tell() {
  const shown = state.visible.reduce((sum, value) => sum + value, 0);
  const inside = state.groups.filter((group) => group !== noise).length;
  byId("status").textContent = shown === N
    ? `All ${count(N, "image")} in ${count(clusters.length, "cluster")}`
    : `${shown.toLocaleString("en")} of ${count(N, "image")}, in ${count(inside, "cluster")}`;
}

function startFilter() {
  byId("filter-cluster").append(el("option", { value: "all" }, "all"),
    ...groups.map((group) => el("option", { value: group.number }, clusterTitle(group))));
  let timer = 0;
  const form = byId("filter");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", applyFilter);
  form.addEventListener("reset", () => setTimeout(applyFilter));
  byId("filter-text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(applyFilter, 120);
  });
}
