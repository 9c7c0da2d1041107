// One image, large, with what is known of it.

const NEAREST = 12; // pictures most like it
const shownImage = { list: [], at: 0, back: null };

function openImage(i, list = [i]) {
  const dialog = byId("image-dialog");
  if (!dialog.open) shownImage.back = document.activeElement;
  Object.assign(shownImage, { list, at: Math.max(0, list.indexOf(i)) });
  fillDialog(i);
  if (!dialog.open) dialog.showModal();
}

function closeDialog() {
  byId("image-dialog").close();
}

function stepImage(step) {
  const { list, at } = shownImage;
  if (list.length < 2) return;
  shownImage.at = (at + step + list.length) % list.length;
  const focus = document.activeElement.id;
  fillDialog(list[shownImage.at]);
  byId(focus)?.focus();
}

function fillDialog(i) {
  const { list, at } = shownImage;
  const several = list.length > 1;
  byId("image-dialog").replaceChildren(
    el("header", {},
      several && el("button", { type: "button", id: "dialog-back", "aria-label": "Previous image", onclick: () => stepImage(-1) }, "←"),
      several && el("button", { type: "button", id: "dialog-next", "aria-label": "Next image", onclick: () => stepImage(1) }, "→"),
      several && el("span", { class: "muted" }, `${(at + 1).toLocaleString("en")} of ${list.length.toLocaleString("en")}`),
      el("button", { type: "button", id: "dialog-close", class: "end", autofocus: true, onclick: closeDialog }, "Close")),
    el("div", { class: "dialog-body" },
      el("div", { class: "original" }, picture(i), original(i)),
      el("div", {},
        el("h2", { id: "dialog-title" }, nameOf(images.name[i])),
        pathLine(i),
        factsOf(i),
        whyNotOther(i),
        el("div", { class: "actions" }, pickButton(i),
          el("button", { type: "button", onclick: () => { closeDialog(); showOnMap(i); } }, "Show on the map")))),
    vectors && N > 1 ? el("section", {},
      el("h3", {}, "Most similar pictures"),
      thumbnailList(nearestImages(i, NEAREST), "Most similar pictures", { small: true })) : null,
  );
  byId("image-dialog").scrollTop = 0;
}

// The file itself, over its small picture, where it is still there and the browser
// knows its format.
function original(i) {
  const link = linkTo(i);
  if (link === null) return null;
  const node = el("img", { src: link, alt: "", hidden: true });
  node.addEventListener("load", () => { node.hidden = false; });
  return node;
}

function pathLine(i) {
  const link = linkTo(i);
  if (link === null) return null;
  const copy = el("button", { type: "button", id: "dialog-copy", onclick: () => copyText(pathOf(i), copy) }, "Copy path");
  return el("p", { class: "path" },
    el("a", { href: link, target: "_blank", rel: "noopener" }, nameOf(pathOf(i))), " ", copy);
}

function factsOf(i) {
  const link = clusterLink(clusterOf(i));
  link.addEventListener("click", closeDialog);
  const facts = [["Cluster", link], ["Typicality", fixed(images.typicality[i], 3)]];
  if (vectors?.near) facts.push(["Closest words", namesOf(closestWords(i))]);
  return el("dl", {}, ...facts.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
}

// How near the image is to its cluster and to the second, with pictures of both.
function whyNotOther(i) {
  const own = clusterOf(i), other = clusters[images.rival[i]];
  if (own === noise || !other) return null;
  const sure = data.certaintyName === "probability";
  const score = sure ? images.certainty[i] : images.typicality[i];
  const rows = [[own, score], [other, images.rivalScore[i]]].map(([cluster, value]) => [
    nameOf(clusterTitle(cluster)), fixed(value, 3), bar(value ?? 0),
    thumbnailList(typicalOf(cluster).filter((j) => j !== i).slice(0, 3), `Typical of ${clusterTitle(cluster)}`, { small: true }),
  ]);
  const table = fillTable(el("table"), ["cluster", sure ? "probability" : "cosine", "", "typical"], rows,
    { 1: "number", 2: "bars" });
  return el("details", { open: true }, el("summary", {}, "Why this cluster, and not the second"),
    el("div", { class: "scroll" }, table));
}

function pickButton(i) {
  const text = () => (picked[i] ? "Take out of the selection" : "Select");
  const button = el("button", {
    type: "button", onclick: () => { pick([i], !picked[i]); button.textContent = text(); },
  }, text());
  return button;
}

function startDialog() {
  const dialog = byId("image-dialog");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) closeDialog(); // beside it
  });
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest(".thumbs, .scroll[tabindex]")) return; // they have keys of their own
    event.preventDefault();
    stepImage(step);
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren(); // and the original need not be held
    shownImage.back?.focus?.();
  });
}
