// One image, larger, with what is known of it.

function openImage(i) {
  const dialog = byId("image-dialog");
  const cluster = clusterOf(i);
  const facts = [
    ["Cluster", clusterLink(cluster)],
    ["Typicality", fixed(images.typicality[i], 3)],
    [data.certaintyName === "probability" ? "Probability" : "Margin", fixed(images.certainty[i], 3)],
  ];
  if (data.imageNouns) {
    const nouns = data.imageNouns[i].map(([noun, weight]) => `${data.nouns[noun]} ${fixed(weight)}`);
    facts.push(["Closest words", namesOf(nouns)]);
  }
  const close = () => dialog.close();
  facts[0][1].addEventListener("click", close);
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, nameOf(images.name[i])),
    imageElement(i, ""),
    el("dl", {}, ...facts.flatMap(([term, value]) => [el("dt", {}, term), el("dd", {}, value)])),
    el("div", { class: "actions" },
      el("button", { type: "button", onclick: () => { close(); showOnMap(i); } }, "Show on the map"),
      el("button", { type: "button", autofocus: true, onclick: close }, "Close")),
  );
  dialog.showModal();
}

function startDialog() {
  const dialog = byId("image-dialog");
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}
