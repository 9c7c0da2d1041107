// The map of all images: a canvas with a thumbnail at the pointer or the focus.

const canvas = byId("map-canvas");
const tip = byId("map-tip");
let current = null; // the image that is pointed at
let pending = false;
const marks = new Map(); // pictures of the marks, by cluster

function redraw() {
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
  canvas.width = Math.round(view.width * ratio);
  canvas.height = Math.round(view.height * ratio);
  canvas.classList.toggle("zoomed", view.scale > 1);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const size = radius();
  makeMarks(size, ratio);
  for (const lit of [0, 1]) { // what is filtered out lies below
    context.globalAlpha = lit ? 1 : 0.12;
    for (let i = 0; i < N; i++) {
      if (state.visible[i] !== lit) continue;
      const [x, y] = toScreen(images.place[i]);
      if (x < -9 || y < -9 || x > view.width + 9 || y > view.height + 9) continue;
      const mark = marks.get(images.cluster[i]);
      context.drawImage(mark, x - mark.width / ratio / 2, y - mark.height / ratio / 2,
        mark.width / ratio, mark.height / ratio);
    }
  }
  context.globalAlpha = 1;
  writeNumbers(context);
  if (current !== null) ring(context, size);
}

function makeMarks(size, ratio) {
  const side = Math.ceil((2.6 * size + 2) * ratio);
  if (marks.side === side) return;
  marks.side = side;
  for (const group of groups) {
    const mark = el("canvas", { width: side, height: side });
    const context = mark.getContext("2d");
    context.translate(side / 2, side / 2);
    const scale = size * ratio * (group === noise ? 0.6 : 1);
    context.scale(scale, scale);
    context.fillStyle = group.color;
    context.fill(new Path2D(MARKS[group.marker]));
    marks.set(group.number, mark);
  }
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
  for (const cluster of clusters) {
    cluster.middle ??= [0, 1].map((axis) => median(cluster.members.map((i) => images.place[i][axis])));
    if (!cluster.members.some((i) => state.visible[i])) continue;
    const [x, y] = toScreen(cluster.middle);
    context.strokeText(cluster.label, x, y);
    context.fillText(cluster.label, x, y);
  }
}

function ring(context, size) {
  const [x, y] = toScreen(images.place[current]);
  context.lineWidth = 3;
  context.strokeStyle = color("text");
  context.beginPath();
  context.arc(x, y, size + 5, 0, 2 * Math.PI);
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
  redraw();
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
    if (canvas.matches(":focus-visible") && current === null) goTo(anotherCluster(1));
  });
  canvas.addEventListener("blur", () => pointAt(null));
  byId("map-in").addEventListener("click", () => zoom(1.5));
  byId("map-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("map-all").addEventListener("click", () => zoom(0));
  startPointer();
  new ResizeObserver(redraw).observe(canvas);
  themeListeners.push(redraw);
}

function renderMap() {
  if (current !== null && !state.visible[current]) pointAt(null);
  redraw();
}
