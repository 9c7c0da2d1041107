// The map of all images: a canvas with a thumbnail at the pointer or the focus, and
// where it is enlarged, wherever there is room.

const canvas = byId("map-canvas");
const tip = byId("map-tip");
let current = null; // the image that is pointed at
let pending = false;
const layer = el("canvas"); // all marks, drawn anew when they move or change
let stale = true;
const PICTURE = 44; // side of a picture on the enlarged map, in pixels
const ENLARGED = 1.5; // from this scale on there are pictures
const PLAIN = 2.5; // marks of a smaller radius are squares: their shapes are not seen
const CROWD = 8000; // so are more marks than this: squares are drawn ten times as fast
let onScreen = false; // else nothing is drawn

// Pointing at an image moves a ring over the layer; anything else draws it again.
function redraw({ layerToo = true } = {}) {
  stale ||= layerToo;
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    if (onScreen) draw();
  });
}

function radius() {
  return Math.max(1.8, Math.min(6, 150 / Math.sqrt(N))) * Math.min(2.5, view.scale ** 0.4);
}

function draw() {
  const ratio = devicePixelRatio || 1;
  if (!view.width) return;
  if (stale) drawLayer(ratio);
  stale = false;
  canvas.width = layer.width;
  canvas.height = layer.height;
  canvas.classList.toggle("zoomed", view.scale > 1);
  const context = canvas.getContext("2d");
  context.drawImage(layer, 0, 0);
  context.scale(ratio, ratio);
  if (!tip.hidden) ring(context, current);
  drawLasso(context);
}

function drawLayer(ratio) {
  layer.width = Math.round(view.width * ratio);
  layer.height = Math.round(view.height * ratio);
  const context = layer.getContext("2d");
  context.scale(ratio, ratio);
  const inSight = groups.map((group) => group.members.map((i) => [i, ...toScreen(images.place[i])])
    .filter(([, x, y]) => x > -9 && y > -9 && x < view.width + 9 && y < view.height + 9));
  const crowd = inSight.reduce((sum, list) => sum + list.length, 0) > CROWD;
  for (const lit of [0, 1]) { // what is filtered out lies below
    context.globalAlpha = lit ? 1 : 0.12;
    for (let at = groups.length - 1; at >= 0; at--) {
      context.fillStyle = groups[at].color;
      const size = (groups[at] === noise ? 0.6 : 1) * radius();
      const shown = inSight[at].filter(([i]) => state.visible[i] === lit);
      if (crowd || size < PLAIN) for (const [, x, y] of shown) context.fillRect(x - size, y - size, 2 * size, 2 * size);
      else fillMarks(context, MARKS[groups[at].marker], size, shown);
    }
  }
  context.globalAlpha = 1;
  if (view.scale >= ENLARGED) drawPictures(context);
  markPickedOnMap(context);
  writeNames(context);
}

// As many pictures as fit side by side; where they are crowded, the most typical ones.
function drawPictures(context) {
  typicalFirst ??= sortImages(images.place.keys(), "typicality");
  const taken = new Map(); // corners of pictures, by cells of their size
  const cellOf = (x, y) => `${Math.floor(x / PICTURE)} ${Math.floor(y / PICTURE)}`;
  const steps = [-PICTURE, 0, PICTURE];
  for (const i of typicalFirst) {
    const [x, y] = toScreen(images.place[i]);
    if (!state.visible[i] || x < 0 || y < 0 || x > view.width || y > view.height) continue;
    const near = steps.flatMap((dx) => steps.map((dy) => taken.get(cellOf(x + dx, y + dy))));
    if (near.some((at) => at && Math.abs(at[0] - x) < PICTURE && Math.abs(at[1] - y) < PICTURE)) continue;
    taken.set(cellOf(x, y), [x, y]);
    context.fillStyle = clusterOf(i).color;
    context.fillRect(x - PICTURE / 2, y - PICTURE / 2, PICTURE, PICTURE);
    drawPicture(context, i, x - PICTURE / 2 + 2, y - PICTURE / 2 + 2, PICTURE - 4, () => redraw());
  }
}
let typicalFirst = null;

function markPickedOnMap(context) {
  context.lineWidth = 2;
  context.strokeStyle = color("text");
  context.beginPath();
  for (let i = 0; i < N; i++) {
    if (!picked[i]) continue;
    const [x, y] = toScreen(images.place[i]);
    context.moveTo(x + radius() + 1, y);
    context.arc(x, y, radius() + 1, 0, 2 * Math.PI);
  }
  context.stroke();
}

// All at once: thousands of single marks take three times as long.
function fillMarks(context, mark, size, places) {
  context.beginPath();
  for (const [, x, y] of places) {
    mark.forEach(([right, down], corner) => {
      if (corner) context.lineTo(x + size * right, y + size * down);
      else context.moveTo(x + size * right, y + size * down);
    });
    context.closePath();
  }
  context.fill();
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

// The place of the image nearest to the median: the median itself may be beside a
// cluster of several islands.
function middleOf(members) {
  const [x, y] = [0, 1].map((axis) => median(members.map((i) => images.place[i][axis])));
  const gap = (i) => (images.place[i][0] - x) ** 2 + (images.place[i][1] - y) ** 2;
  return images.place[members.reduce((best, i) => (gap(i) < gap(best) ? i : best))];
}

// Names of the clusters, the largest first, each beside its middle where it hides no
// other; where there is no room, the number alone, or nothing until it is enlarged.
function writeNames(context) {
  const size = 14;
  context.font = `bold ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeStyle = color("ground");
  context.fillStyle = color("text");
  const taken = [];
  for (const cluster of [...clusters].sort((a, b) => b.size - a.size)) {
    if (!cluster.members.some((i) => state.visible[i])) continue;
    cluster.middle ??= middleOf(cluster.members);
    const [x, y] = toScreen(cluster.middle);
    if (x < 0 || y < 0 || x > view.width || y > view.height) continue;
    const box = [shortened(clusterTitle(cluster)), String(cluster.label)]
      .flatMap((text) => placesFor(context, text, x, y, size))
      .find((one) => isFree(one, taken));
    if (!box) continue;
    taken.push(box);
    context.strokeText(box.text, box.x, box.y);
    context.fillText(box.text, box.x, box.y);
  }
}

// Boxes for a text: at a place, above, below, and beside it, all within the map.
function placesFor(context, text, x, y, size) {
  const half = context.measureText(text).width / 2;
  const line = size + 4;
  const steps = [[0, 0], [0, -1], [0, 1], [0, -2], [0, 2], [1, 0], [-1, 0], [1, -1], [-1, -1], [1, 1], [-1, 1]];
  return steps.map(([right, down]) => ({
    text, half,
    x: Math.max(half + 2, Math.min(view.width - half - 2, x + right * (half + size))),
    y: Math.max(size, Math.min(view.height - size, y + down * line)),
  }));
}

function isFree(box, taken) {
  return taken.every((other) =>
    Math.abs(other.y - box.y) > 17 || Math.abs(other.x - box.x) > other.half + box.half + 4);
}

function shortened(text) {
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

function ring(context, i) {
  const [x, y] = toScreen(images.place[i]);
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
    tip.replaceChildren(picture(i), nameOf(images.name[i]),
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
  Enter: () => openOnMap(current),
  " ": () => openOnMap(current),
  s: () => pick([current], !picked[current]),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  0: () => zoom(0),
  Escape: () => pointAt(null),
};
const NEED_IMAGE = ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Enter", " ", "s"];

// The dialog goes on through the images of its cluster.
function openOnMap(i) {
  openImage(i, sortImages(clusterOf(i).members.filter((j) => state.visible[j]), state.order));
}

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
    moved = lassoStarts(event);
  });
  canvas.addEventListener("pointerup", lassoEnds);
  canvas.addEventListener("pointercancel", lassoEnds);
  canvas.addEventListener("pointermove", (event) => {
    if (lassoMoves(event)) return;
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
  canvas.addEventListener("pointerleave", () => { from = null; if (!lasso.path) pointAt(null); });
  canvas.addEventListener("click", (event) => {
    const i = imageAt(event.offsetX, event.offsetY);
    if (!moved && i !== null) openOnMap(i);
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
  new ResizeObserver(() => {
    [view.width, view.height] = [canvas.clientWidth, canvas.clientHeight];
    redraw();
  }).observe(canvas);
  new IntersectionObserver((entries) => {
    onScreen = entries.at(-1).isIntersecting;
    redraw({ layerToo: false });
  }, { rootMargin: "300px" }).observe(canvas);
  themeListeners.push(() => redraw());
}

function renderMap() {
  if (current !== null && !state.visible[current]) pointAt(null);
  redraw();
}
