// The map of all images: a canvas with a thumbnail at the pointer or the focus.

const canvas = byId("map-canvas");
const tip = byId("map-tip");
let current = null; // the image that is pointed at
let pending = false;
const layer = el("canvas"); // all marks, drawn anew when they move or change
let stale = true;

// Pointing at an image moves a ring over the layer; anything else draws it again.
function redraw({ layerToo = true } = {}) {
  stale ||= layerToo;
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; draw(); });
}

function radius() {
  return Math.max(1.8, Math.min(6, 150 / Math.sqrt(N))) * Math.min(2.5, view.scale ** 0.4);
}

function draw() {
  const ratio = devicePixelRatio || 1;
  [view.width, view.height] = [canvas.clientWidth, canvas.clientHeight];
  if (!view.width) return;
  if (stale) drawLayer(ratio);
  stale = false;
  canvas.width = layer.width;
  canvas.height = layer.height;
  canvas.classList.toggle("zoomed", view.scale > 1);
  const context = canvas.getContext("2d");
  context.drawImage(layer, 0, 0);
  context.scale(ratio, ratio);
  if (!tip.hidden) ring(context);
}

function drawLayer(ratio) {
  layer.width = Math.round(view.width * ratio);
  layer.height = Math.round(view.height * ratio);
  const context = layer.getContext("2d");
  context.scale(ratio, ratio);
  for (const lit of [0, 1]) { // what is filtered out lies below
    context.globalAlpha = lit ? 1 : 0.12;
    for (const group of [...groups].reverse()) {
      context.fillStyle = group.color;
      context.beginPath();
      for (const i of group.members) if (state.visible[i] === lit) addMark(context, group, i);
      context.fill(); // all at once: thousands of single marks take three times as long
    }
  }
  context.globalAlpha = 1;
  writeNumbers(context);
}

function addMark(context, group, i) {
  const [x, y] = toScreen(images.place[i]);
  if (x < -9 || y < -9 || x > view.width + 9 || y > view.height + 9) return;
  const size = group === noise ? 0.6 * radius() : radius();
  MARKS[group.marker].forEach(([right, down], corner) => {
    if (corner) context.lineTo(x + size * right, y + size * down);
    else context.moveTo(x + size * right, y + size * down);
  });
  context.closePath();
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function writeNumbers(context) {
  context.font = "bold 14px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = color("ground");
  context.fillStyle = color("text");
  const named = clusters.length <= 15 && view.width > 600 && clusters.some(({ names }) => names.length);
  const taken = [];
  for (const cluster of clusters) {
    cluster.middle ??= [0, 1].map((axis) => median(cluster.members.map((i) => images.place[i][axis])));
    if (!cluster.members.some((i) => state.visible[i])) continue;
    const [x, y] = toScreen(cluster.middle);
    const full = named ? shortened(clusterTitle(cluster)) : String(cluster.label);
    const text = isFree(context, full, x, y, taken) ? full : String(cluster.label);
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

// Whether a text hides none of those written before; if so, its place is taken.
function isFree(context, text, x, y, taken) {
  const half = context.measureText(text).width / 2;
  const free = taken.every((box) => Math.abs(box.y - y) > 16 || Math.abs(box.x - x) > box.half + half);
  if (free) taken.push({ x, y, half });
  return free;
}

function shortened(text) {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

function ring(context) {
  const [x, y] = toScreen(images.place[current]);
  context.lineWidth = 3;
  context.strokeStyle = color("text");
  context.beginPath();
  context.arc(x, y, radius() + 5, 0, 2 * Math.PI);
  context.stroke();
}

function pointAt(i) {
  if (i === current && (i === null) === tip.hidden) return;
  current = i;
  tip.hidden = i === null;
  if (i !== null) {
    tip.replaceChildren(imageElement(i), nameOf(images.name[i]),
      el("span", { class: "muted" }, chip(clusterOf(i)), nameOf(clusterTitle(clusterOf(i)))));
    placeTip();
  }
  redraw({ layerToo: false });
}

function placeTip() {
  const [x, y] = toScreen(images.place[current]);
  const [width, height] = [tip.offsetWidth, tip.offsetHeight];
  const left = x + 16 + width > view.width ? x - 16 - width : x + 16;
  tip.style.left = `${Math.max(0, Math.min(view.width - width, left))}px`;
  tip.style.top = `${Math.max(0, Math.min(view.height - height, y - height / 2))}px`;
}

// Go to an image by keyboard: it is brought into sight and read out.
function goTo(i) {
  if (i === null) return;
  const [x, y] = toScreen(images.place[i]);
  if (x < 20 || y < 20 || x > view.width - 20 || y > view.height - 20) {
    [view.x, view.y] = images.place[i];
    keepInSight();
    redraw();
  }
  pointAt(i);
  byId("map-live").textContent = `${images.name[i]}, ${clusterTitle(clusterOf(i))}`;
}

function showOnMap(i) {
  byId("map").scrollIntoView();
  canvas.focus({ preventScroll: true });
  goTo(i);
}

function firstImage(group) {
  return sortImages(group.members.filter((i) => state.visible[i]), "typicality")[0] ?? null;
}

function anotherCluster(step) {
  const shown = state.groups.filter((group) => firstImage(group) !== null);
  const at = current === null ? -step : shown.indexOf(clusterOf(current));
  return shown.length ? firstImage(shown[(at + step + shown.length) % shown.length]) : null;
}

const MAP_KEYS = {
  ArrowRight: () => goTo(imageTowards(current, 1, 0)),
  ArrowLeft: () => goTo(imageTowards(current, -1, 0)),
  ArrowUp: () => goTo(imageTowards(current, 0, 1)),
  ArrowDown: () => goTo(imageTowards(current, 0, -1)),
  PageDown: () => goTo(anotherCluster(1)),
  PageUp: () => goTo(anotherCluster(-1)),
  Enter: () => openImage(current),
  " ": () => openImage(current),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  0: () => zoom(0),
  Escape: () => pointAt(null),
};
const NEED_IMAGE = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Enter", " "];

function zoom(factor) {
  const at = current === null ? [] : toScreen(images.place[current]);
  zoomBy(factor || 1e-9, ...at);
  if (current !== null) placeTip();
  redraw();
}

function onMapKey(event) {
  if (!(event.key in MAP_KEYS) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (current === null && NEED_IMAGE.includes(event.key)) goTo(anotherCluster(1));
  else MAP_KEYS[event.key]();
}

function startPointer() {
  let from = null, moved = false;
  canvas.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from && event.buttons && view.scale > 1) {
      const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
      moved ||= Math.hypot(dx, dy) > 4;
      if (moved) {
        panBy(dx, dy);
        from = [event.clientX, event.clientY];
        pointAt(null);
        redraw();
      }
      return;
    }
    pointAt(imageAt(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointerleave", () => { from = null; pointAt(null); });
  canvas.addEventListener("click", (event) => {
    const i = imageAt(event.offsetX, event.offsetY);
    if (!moved && i !== null) openImage(i);
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== canvas) return; // the page scrolls
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300), event.offsetX, event.offsetY);
    if (current !== null) placeTip();
    redraw();
  }, { passive: false });
}

function startMap() {
  buildGrid();
  canvas.addEventListener("keydown", onMapKey);
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) goTo(current ?? anotherCluster(1));
  });
  canvas.addEventListener("blur", () => {
    tip.hidden = true; // the image stays the current one, for when the focus returns
    redraw({ layerToo: false });
  });
  byId("map-in").addEventListener("click", () => zoom(1.5));
  byId("map-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("map-all").addEventListener("click", () => zoom(0));
  startPointer();
  new ResizeObserver(() => redraw()).observe(canvas);
  themeListeners.push(() => redraw());
}

function renderMap() {
  if (current !== null && !state.visible[current]) pointAt(null);
  redraw();
}
