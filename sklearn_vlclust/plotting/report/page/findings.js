// Pairs that may be the same image, and images that do not fit in.

function renderDuplicates() {
  const shown = data.duplicates.filter(([i, j]) => state.visible[i] || state.visible[j]);
  byId("duplicate-list").replaceChildren(...shown.map(([i, j, cosine]) => {
    const [one, other] = [clusterOf(i), clusterOf(j)];
    return el("li", {},
      el("div", { class: "two" }, el("div", { class: "thumbs" }, stop(i), stop(j))),
      el("p", {}, `cosine ${cosine.toFixed(4)}`, one === other ? "" : ", in two clusters"),
      el("p", {}, nameOf(images.name[i]), el("br"), nameOf(images.name[j])));
  }));
  byId("duplicate-list").hidden = !shown.length;
  emptyNote("duplicates", shown.length, data.duplicates.length);
}

// A thumbnail that is a stop of the Tab key itself.
function stop(i) {
  const node = thumbnail(i);
  node.tabIndex = 0;
  return node;
}

function renderOutliers() {
  const shown = data.outliers.filter(([i]) => state.visible[i]);
  const scores = new Map(shown);
  const note = (i) => el("span", {}, `${fixed(scores.get(i), 1)} `, clusterLink(clusterOf(i)));
  byId("outlier-list").replaceChildren(
    ...shown.length ? [thumbnailList(shown.map(([i]) => i), "Outliers", { note })] : []);
  emptyNote("outliers", shown.length, data.outliers.length);
}

function emptyNote(id, shown, all) {
  byId(`${id}-empty`)?.remove();
  if (shown) return;
  if (id === "duplicates" && !data.duplicatesKnown) return;
  const text = all ? "None of the images that match." : "None were found.";
  byId(id).append(el("p", { id: `${id}-empty`, class: "note" }, text));
}
