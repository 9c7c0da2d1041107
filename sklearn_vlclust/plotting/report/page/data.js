// What the report knows. Clusters are numbered in the order of data.clusters; noise is
// -1 and comes last.

const data = JSON.parse(byId("data").textContent);
const images = data.images;
const N = images.name.length;
const NOISE = -1;

// Corners of the marks, in a square from -1 to 1.
const MARKS = {
  o: Array.from({ length: 16 }, (_, at) => [Math.cos((at * Math.PI) / 8), Math.sin((at * Math.PI) / 8)]),
  s: [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  "^": [[0, -1], [1, 0.8], [-1, 0.8]],
  D: [[0, -1.15], [1.15, 0], [0, 1.15], [-1.15, 0]],
  v: [[0, 1], [1, -0.8], [-1, -0.8]],
  P: [[-0.4, -1], [0.4, -1], [0.4, -0.4], [1, -0.4], [1, 0.4], [0.4, 0.4], [0.4, 1], [-0.4, 1],
    [-0.4, 0.4], [-1, 0.4], [-1, -0.4], [-0.4, -0.4]],
  X: [[-1, -0.5], [-0.5, -1], [0, -0.5], [0.5, -1], [1, -0.5], [0.5, 0], [1, 0.5], [0.5, 1],
    [0, 0.5], [-0.5, 1], [-1, 0.5], [-0.5, 0]],
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

// The first name; only "perhaps", if it is uncertain.
function clusterName(cluster) {
  return (cluster.perhaps ? "perhaps: " : "") + cluster.names[0][0];
}

function clusterTitle(cluster) {
  if (cluster === noise) return "Noise";
  return cluster.names.length ? `${cluster.label} ${clusterName(cluster)}` : `Cluster ${cluster.label}`;
}

function clusterAnchor(cluster) {
  return cluster === noise ? "noise" : `cluster-${cluster.label}`;
}

function clusterLink(cluster) {
  return el("a", { href: `#${clusterAnchor(cluster)}` }, chip(cluster), nameOf(clusterTitle(cluster)));
}

function chip(cluster) {
  return svg("svg", { class: "chip", viewBox: "-1.15 -1.15 2.3 2.3", "aria-hidden": "true" },
    svg("polygon", { points: MARKS[cluster.marker].join(" "), fill: cluster.color }));
}

// The folder of each image, as a number, and the names of the folders.
const folderNames = [];
const folderOf = new Int32Array(N);
{
  const numbers = new Map();
  images.name.forEach((name, i) => {
    const folder = name.slice(0, Math.max(0, name.search(/[/\\][^/\\]*$/)));
    if (!numbers.has(folder)) numbers.set(folder, folderNames.push(folder) - 1);
    folderOf[i] = numbers.get(folder);
  });
}

function folderTitle(number) {
  return folderNames[number] || "(top)";
}

// Order images by what the reader asked for; what is unknown comes last.
const IMAGE_ORDERS = {
  typicality: (i) => -(images.typicality[i] ?? -2),
  certainty: (i) => images.certainty[i] ?? 2,
  match: (i) => -state.scores[i],
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
const state = { order: "typicality", visible: new Uint8Array(N).fill(1), scores: null, groups };
