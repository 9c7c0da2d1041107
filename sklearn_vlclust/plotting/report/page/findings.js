// Pairs that may be the same image, and images that do not fit in.

function renderDuplicates() {
  const shown = data.duplicates.filter(([group]) => group.some((i) => state.visible[i]));
  byId("duplicate-list").replaceChildren(...shown.map(([group, others, reasons]) => {
    const apart = new Set(group.map(clusterOf)).size > 1;
    const names = group.flatMap((i) => [nameOf(images.name[i]), el("br")]).slice(0, -1);
    return el("li", {},
      el("div", { class: "thumbs" }, ...group.map(stop)),
      el("p", {}, reasons.join(", "), apart ? ", in several clusters" : ""),
      el("p", {}, ...names, others ? `, and ${others.toLocaleString("en")} more` : ""));
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
  const text = all ? "None of the images that match." : "None were found.";
  byId(id).append(el("p", { id: `${id}-empty`, class: "note" }, text));
}
