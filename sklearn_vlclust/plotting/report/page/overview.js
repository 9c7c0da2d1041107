// The table of clusters, and how similar they are.

function renderSizes() {
  const all = groups.reduce((sum, group) => sum + group.size, 0);
  const largest = Math.max(...groups.map((group) => group.size));
  const rows = state.groups.map((group) => [
    clusterLink(group), namesOf(group.names.slice(1, 4).map(([noun]) => noun)),
    group.size.toLocaleString("en"), `${((100 * group.size) / all).toFixed(1)} %`,
    bar(group.size / largest), fixed(group.typicality),
  ]);
  const header = ["cluster", "other names", "images", "share", "", "mean typicality"];
  const table = fillTable(byId("sizes-table"), header, rows,
    { 2: "number", 3: "number", 4: "bars", 5: "number" });
  if (!clusters.some((cluster) => cluster.names.length > 1)) {
    for (const row of table.rows) row.cells[1].hidden = true;
  }
}

const matrix = { at: [0, 0], edge: 0, low: 0, high: 1 };

function drawMatrix() {
  const canvas = byId("matrix");
  const k = clusters.length;
  const ratio = devicePixelRatio || 1;
  const side = canvas.clientWidth;
  if (!side || !k) return;
  canvas.width = canvas.height = Math.round(side * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  matrix.edge = k <= 40 ? 28 : 2;
  const cell = (side - matrix.edge - 2) / k;
  const ground = rgb(color("ground")), accent = rgb(color("accent"));
  const others = data.similarities.flatMap((row, r) => row.filter((_, c) => c !== r));
  matrix.low = Math.min(1, ...others.length ? [others.reduce((a, b) => Math.min(a, b))] : [0]);
  matrix.high = 1;
  for (let row = 0; row < k; row++) {
    for (let column = 0; column < k; column++) {
      const value = data.similarities[data.order[row]][data.order[column]];
      const share = (value - matrix.low) / (matrix.high - matrix.low || 1);
      context.fillStyle = mix(ground, accent, 0.06 + 0.94 * share);
      context.fillRect(matrix.edge + column * cell, matrix.edge + row * cell, cell + 0.5, cell + 0.5);
    }
  }
  byId("matrix-scale").textContent = `Colors run from ${fixed(matrix.low)}, that of the page, to 1.`;
  writeMatrixLabels(context, cell);
  context.strokeStyle = color("text");
  context.lineWidth = 2;
  const [row, column] = matrix.at;
  context.strokeRect(matrix.edge + column * cell, matrix.edge + row * cell, cell, cell);
}

function writeMatrixLabels(context, cell) {
  if (matrix.edge < 20) return;
  context.fillStyle = color("text");
  context.font = `${Math.min(13, Math.max(9, cell * 0.7))}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  data.order.forEach((number, place) => {
    const at = matrix.edge + (place + 0.5) * cell;
    context.textAlign = "right";
    context.fillText(clusters[number].label, matrix.edge - 5, at);
    context.textAlign = "center";
    context.fillText(clusters[number].label, at, matrix.edge - 10);
  });
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function mix(from, to, share) {
  return `rgb(${from.map((value, at) => Math.round(value + share * (to[at] - value))).join(" ")})`;
}

function moveInMatrix(row, column) {
  const k = clusters.length;
  if (!k) return;
  matrix.at = [row, column].map((value) => Math.max(0, Math.min(k - 1, value)));
  const [one, other] = matrix.at.map((place) => clusters[data.order[place]]);
  const value = data.similarities[one.number][other.number];
  byId("matrix-live").replaceChildren(
    nameOf(clusterTitle(one)), " and ", nameOf(clusterTitle(other)), `: ${fixed(value)}`);
  drawMatrix();
}

function startMatrix() {
  const canvas = byId("matrix");
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    moveInMatrix(matrix.at[0] + steps[event.key][0], matrix.at[1] + steps[event.key][1]);
  });
  canvas.addEventListener("focus", () => moveInMatrix(...matrix.at));
  canvas.addEventListener("pointermove", (event) => {
    const cell = (canvas.clientWidth - matrix.edge - 2) / clusters.length;
    const place = [event.offsetY, event.offsetX].map((value) => Math.floor((value - matrix.edge) / cell));
    if (place.every((value) => value >= 0 && value < clusters.length)) moveInMatrix(...place);
  });
  fillTable(byId("similarity-table"), ["cluster", "most similar", "next", "next"],
    clusters.map((cluster) => [clusterLink(cluster), ...mostSimilar(cluster)]));
  new ResizeObserver(drawMatrix).observe(canvas);
  themeListeners.push(drawMatrix);
}

function mostSimilar(cluster) {
  const row = data.similarities[cluster.number];
  const others = clusters.filter((other) => other !== cluster)
    .sort((a, b) => row[b.number] - row[a.number]).slice(0, 3);
  const cells = others.map((other) => el("span", {}, clusterLink(other), ` ${fixed(row[other.number])}`));
  return [...cells, "", "", ""].slice(0, 3);
}
