// A card a cluster. Its pictures are made when it comes near the screen.

const FEW = 10; // images of a row
const cards = new Map();

const cardObserver = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) fillCard(cards.get(entry.target.dataset.group));
}, { rootMargin: "800px" });

function makeCard(group) {
  const id = clusterAnchor(group);
  const facts = [count(group.size, "image")];
  if (group.typicality !== null) facts.push(`mean typicality ${fixed(group.typicality)}`);
  const body = el("div");
  const node = el("article", { class: "cluster", id, "data-group": id, "aria-labelledby": `${id}-title` },
    el("header", {},
      el("h3", { id: `${id}-title` }, chip(group), nameOf(clusterTitle(group))),
      el("p", {}, facts.join(" · "))),
    group.names.length ? whyDetails(group) : null,
    body);
  const card = { group, node, body, filled: false };
  cards.set(id, card);
  return card;
}

function fillCard(card) {
  if (card.filled) return;
  card.filled = true;
  card.node.classList.add("filled");
  cardObserver.unobserve(card.node);
  const list = card.group.members.filter((i) => state.visible[i]);
  const title = clusterTitle(card.group);
  const sorted = sortImages(list, state.order);
  if (list.length < card.group.members.length) {
    card.body.replaceChildren(el("h4", {}, `Matching: ${list.length}`),
      ...longThumbnailList(sorted, `Matching images of ${title}`));
  } else if (list.length <= 2 * FEW) {
    card.body.replaceChildren(el("h4", {}, "All images"),
      ...longThumbnailList(sorted, `All images of ${title}`));
  } else {
    card.body.replaceChildren(...twoRows(list, title), showAll(sorted, title));
  }
}

function twoRows(list, title) {
  const typical = sortImages(list, "typicality").slice(0, FEW);
  const rows = [el("h4", {}, "Most typical"), thumbnailList(typical, `Most typical of ${title}`)];
  const known = list.filter((i) => images.certainty[i] !== null);
  if (known.length) {
    const doubtful = sortImages(known, "certainty").slice(0, FEW);
    rows.push(el("h4", {}, "Least certain"), thumbnailList(doubtful, `Least certain of ${title}`));
  }
  return rows;
}

function showAll(sorted, title) {
  const place = el("div");
  const button = el("button", {
    type: "button", "aria-expanded": "false",
    onclick: () => {
      const open = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Show fewer" : `Show all ${sorted.length.toLocaleString("en")}`;
      place.replaceChildren(...(open ? longThumbnailList(sorted, `All images of ${title}`) : []));
    },
  }, `Show all ${sorted.length.toLocaleString("en")}`);
  return el("div", {}, button, place);
}

// Which nouns stand for a cluster, how much, and where else they do.
function whyDetails(group) {
  const details = el("details", { class: "why" }, el("summary", {}, "Why ", nameOf(`“${group.names[0][0]}”`), "?"));
  details.addEventListener("toggle", () => {
    if (details.childElementCount === 1) details.append(whyTable(group), ...nearNouns(group));
  });
  return details;
}

function whyTable(group) {
  const largest = Math.max(...group.names.map(([, score]) => score ?? 0)) || 1;
  const rows = group.names.map(([noun, score]) => [
    nameOf(noun), small(score), bar((score ?? 0) / largest), alsoNear(noun, group),
  ]);
  const table = fillTable(el("table"), ["noun", data.nameScore, "", "also a noun of"], rows, { 1: "number", 2: "bars" });
  return el("div", { class: "scroll" },
    el("p", {}, "The noun with the highest score names the cluster. These are next to it:"), table);
}

function small(score) {
  return score !== null && score > 0 && score < 0.001 ? "< 0.001" : fixed(score, 3);
}

function alsoNear(noun, group) {
  const others = clusters.filter((other) => other !== group && other.names.some(([name]) => name === noun));
  return el("span", {}, ...others.slice(0, 5).flatMap((other, at) => [at ? ", " : "", clusterLink(other)]),
    others.length > 5 ? ` and ${others.length - 5} more` : "");
}

// The nouns that its images lie next to, with the images nearest to each.
function nearNouns(group) {
  if (!data.imageNouns || !group.members.length) return [];
  const found = new Map();
  for (const i of group.members) {
    for (const [noun, weight] of data.imageNouns[i]) {
      if (!found.has(noun)) found.set(noun, { weight: 0, images: [] });
      found.get(noun).weight += weight;
      found.get(noun).images.push([weight, i]);
    }
  }
  const best = [...found].sort((a, b) => b[1].weight - a[1].weight).slice(0, 8);
  const rows = best.map(([noun, { weight, images: near }]) => {
    const nearest = near.sort((a, b) => b[0] - a[0]).slice(0, 4).map(([, i]) => i);
    return [
      nameOf(data.nouns[noun]), fixed(weight / group.members.length),
      `${Math.round((100 * near.length) / group.members.length)} %`,
      thumbnailList(nearest, `Images nearest to ${data.nouns[noun]}`, { small: true }),
    ];
  });
  const header = ["neighboring noun", "attention per image", "of the images", "nearest images"];
  return [
    el("h4", {}, "Nouns that its images lie next to"),
    el("div", { class: "scroll" }, fillTable(el("table"), header, rows, { 1: "number", 2: "number" })),
  ];
}

function renderCards() {
  for (const card of cards.values()) {
    const shown = state.groups.includes(card.group) && card.group.members.some((i) => state.visible[i]);
    card.node.hidden = !shown;
    card.filled = false;
    card.node.classList.remove("filled");
    card.body.replaceChildren();
    cardObserver.unobserve(card.node);
    if (shown) cardObserver.observe(card.node);
  }
  byId("cards").append(...state.groups.map((group) => cards.get(clusterAnchor(group)).node));
  for (const card of cards.values()) if (isNear(card.node)) fillCard(card); // without a flash
}

function isNear(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return !node.hidden && bottom > 0 && top < innerHeight;
}

function startClusters() {
  byId("cards").append(...groups.map((group) => makeCard(group).node));
  addEventListener("beforeprint", () => cards.forEach(fillCard));
  addEventListener("hashchange", () => {
    const card = cards.get(location.hash.slice(1));
    if (!card || card.node.hidden) return;
    fillCard(card);
    // Cards above it have been filled on the way, and have moved it.
    setTimeout(() => card.node.scrollIntoView(), 150);
  });
}
