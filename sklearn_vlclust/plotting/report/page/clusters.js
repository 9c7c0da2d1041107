// A card per cluster: its names and a few pictures, and all of them on demand.

const FEW = 10; // pictures of a card
const cards = new Map();

const cardObserver = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) fillCard(cards.get(entry.target.dataset.group));
}, { rootMargin: "800px" });

function makeCard(group) {
  const id = clusterAnchor(group);
  const others = group.names.slice(1, 4).map(([noun]) => noun);
  const body = el("div");
  const node = el("article", { class: "cluster", id, "data-group": id, "aria-labelledby": `${id}-title` },
    el("header", {},
      el("h3", { id: `${id}-title` }, chip(group), nameOf(clusterTitle(group))),
      el("p", { class: "size" }, count(group.size, "image"))),
    others.length ? el("p", { class: "others" }, "also ", namesOf(others)) : null,
    folderNames.length > 1 ? el("p", { class: "others" }, "folders: ", foldersOf(group)) : null,
    body,
    group.names.length ? whyDetails(group) : null);
  cards.set(id, { group, node, body, filled: false, open: false });
  return node;
}

function typicalOf(group) {
  group.typical ??= sortImages(group.members, "typicality");
  return group.typical;
}

function fillCard(card) {
  if (card.filled) return;
  card.filled = true;
  card.node.classList.add("filled");
  cardObserver.unobserve(card.node);
  const title = clusterTitle(card.group);
  const sorted = sortImages(card.group.members.filter((i) => state.visible[i]), state.order);
  const open = card.open && sorted.length > FEW;
  const button = el("button", {
    type: "button", class: "more", "aria-expanded": String(open),
    onclick: () => {
      card.open = !card.open;
      card.filled = false;
      fillCard(card);
      card.body.querySelector(".more").focus();
    },
  }, open ? "Show fewer" : `Show all ${sorted.length.toLocaleString("en")}`);
  card.node.classList.toggle("open", open);
  const node = open ? pictureGrid(sorted, `All images of ${title}`)
    : thumbnailList(sorted.slice(0, FEW), `Images of ${title}`, { through: sorted });
  card.body.replaceChildren(node, ...(sorted.length > FEW ? [button] : []));
}

// Which nouns stand for a cluster, how much, where else they do, and the pictures that
// show them best.
function whyDetails(group) {
  const details = el("details", { class: "why" }, el("summary", {}, "Why ", nameOf(`“${group.names[0][0]}”`), "?"));
  details.addEventListener("toggle", () => {
    card(group).node.classList.toggle("wide", details.open);
    if (details.childElementCount === 1) details.append(whyTable(group));
  });
  return details;
}

function card(group) {
  return cards.get(clusterAnchor(group));
}

function whyTable(group) {
  const largest = Math.max(...group.names.map(([, score]) => score ?? 0)) || 1;
  const rows = group.names.map(([noun, score]) => [
    nameOf(noun), small(score), bar((score ?? 0) / largest), alsoNear(noun, group), bestPictures(noun, group),
  ]);
  const header = ["noun", data.nameScore, "", "also a noun of", "pictures nearest to it"];
  return el("div", { class: "scroll" },
    el("p", {}, "The noun that tells the cluster best from the others names it. These are next:"),
    group.perhaps ? el("p", { class: "note" }, "The name is uncertain.") : null,
    fillTable(el("table"), header, rows, { 1: "number", 2: "bars" }));
}

function small(score) {
  return score !== null && score > 0 && score < 0.001 ? "< 0.001" : fixed(score, 3);
}

function alsoNear(noun, group) {
  const others = clusters.filter((other) => other !== group && other.names.some(([name]) => name === noun));
  return el("span", {}, ...others.slice(0, 5).flatMap((other, at) => [at ? ", " : "", clusterLink(other)]),
    others.length > 5 ? ` and ${others.length - 5} more` : "");
}

function bestPictures(noun, group) {
  if (!vectors || !words.has(folded(noun))) return "";
  const vector = rowOf(nounVectors(), words.get(folded(noun)));
  const score = (i) => dot(rowOf(imageVectors(), i), vector);
  const best = group.members.map((i) => [score(i), i]).sort((a, b) => b[0] - a[0]).slice(0, 4);
  return thumbnailList(best.map(([, i]) => i), `Images nearest to ${noun}`, { small: true });
}

function renderCards() {
  for (const card of cards.values()) {
    card.node.hidden = !state.groups.includes(card.group);
    card.filled = false;
    card.node.classList.remove("filled");
    card.body.replaceChildren();
    cardObserver.unobserve(card.node);
    if (!card.node.hidden) cardObserver.observe(card.node);
  }
  byId("cards").append(...state.groups.map((group) => card(group).node));
  for (const card of cards.values()) if (isNear(card.node)) fillCard(card); // without a flash
}

function isNear(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return !node.hidden && bottom > 0 && top < innerHeight;
}

function startClusters() {
  byId("cards").append(...groups.map(makeCard));
  addEventListener("beforeprint", () => cards.forEach(fillCard));
  addEventListener("hashchange", () => {
    const card = cards.get(location.hash.slice(1));
    if (!card || card.node.hidden) return;
    fillCard(card);
    // Cards above it have been filled on the way, and have moved it.
    setTimeout(() => card.node.scrollIntoView(), 150);
  });
}
