// What the report knows. Clusters are numbered in the order of data.clusters; noise is
// -1 and comes last.

const data = JSON.parse(byId("data").textContent);
const pictures = byId("thumbnails").textContent.split("\n");
byId("thumbnails").remove(); // megabytes that are not needed twice
const images = data.images;
const N = images.name.length;
const NOISE = -1;

const MARKS = {
  o: "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z",
  s: "M-.85-.85H.85V.85H-.85Z",
  "^": "M0-1L1 .8H-1Z",
  D: "M0-1.15L1.15 0L0 1.15L-1.15 0Z",
  v: "M0 1L1-.8H-1Z",
  P: "M-.4-1H.4V-.4H1V.4H.4V1H-.4V.4H-1V-.4H-.4Z",
  X: "M-1-.5L-.5-1L0-.5L.5-1L1-.5L.5 0L1 .5L.5 1L0 .5L-.5 1L-1 .5L-.5 0Z",
};

const clusters = data.clusters.map((cluster, number) => ({ ...cluster, number, members: [] }));
const noise = { ...data.noise, label: NOISE, number: NOISE, marker: "o", names: [], members: [] };
const groups = noise.size ? [...clusters, noise] : clusters;
for (let i = 0; i < N; i++) clusterOf(i).members.push(i);
for (const group of groups) {
  const known = group.members.map((i) => images.typicality[i]).filter((t) => t !== null);
  group.typicality = known.length ? known.reduce((a, b) => a + b) / known.length : null;
}

function clusterOf(i) {
  return images.cluster[i] < 0 ? noise : clusters[images.cluster[i]];
}

function clusterTitle(cluster) {
  if (cluster === noise) return "Noise";
  const name = cluster.names.length ? ` ${cluster.names[0][0]}` : "";
  return name ? `${cluster.label}${name}` : `Cluster ${cluster.label}`;
}

function clusterAnchor(cluster) {
  return cluster === noise ? "noise" : `cluster-${cluster.label}`;
}

function clusterLink(cluster) {
  return el("a", { href: `#${clusterAnchor(cluster)}` }, chip(cluster), nameOf(clusterTitle(cluster)));
}

function chip(cluster) {
  return svg("svg", { class: "chip", viewBox: "-1.15 -1.15 2.3 2.3", "aria-hidden": "true" },
    svg("path", { d: MARKS[cluster.marker], fill: cluster.color }));
}

function picture(i) {
  return `data:image/webp;base64,${pictures[i]}`;
}

function imageElement(i, alt = images.name[i]) {
  return el("img", { src: picture(i), alt, decoding: "async" });
}

// Order images by what the reader asked for; what is unknown comes last.
const IMAGE_ORDERS = {
  typicality: (i) => -(images.typicality[i] ?? -2),
  certainty: (i) => images.certainty[i] ?? 2,
};
function sortImages(list, order) {
  if (order === "name") {
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    return [...list].sort((a, b) => compare(images.name[a], images.name[b]));
  }
  const key = IMAGE_ORDERS[order];
  return [...list].sort((a, b) => key(a) - key(b));
}

// What the filter lets through; filter.js writes it, the rest reads it.
const state = { text: "", order: "typicality", visible: new Uint8Array(N).fill(1), groups };
