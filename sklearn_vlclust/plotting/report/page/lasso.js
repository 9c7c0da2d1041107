// Selecting images on the map by drawing around them.

const lasso = { on: false, path: null }; // corners on the map while one draws

function lassoStarts(event) {
  if (!lasso.on && !event.shiftKey) return false;
  lasso.path = [toMap(event.offsetX, event.offsetY)];
  canvas.setPointerCapture(event.pointerId);
  pointAt(null);
  return true;
}

function lassoMoves(event) {
  if (!lasso.path) return false;
  lasso.path.push(toMap(event.offsetX, event.offsetY));
  redraw({ layerToo: false });
  return true;
}

function lassoEnds() {
  if (!lasso.path) return false;
  const found = [...state.visible.keys()].filter((i) => state.visible[i] && isInside(images.place[i], lasso.path));
  lasso.path = null;
  pick(found);
  byId("map-live").textContent = `${count(found.length, "image")} in the lasso`;
  return true;
}

// Even-odd rule: how many edges of the polygon a ray to the right crosses.
function isInside([x, y], polygon) {
  let inside = false;
  for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
    const [[x1, y1], [x2, y2]] = [polygon[before], polygon[at]];
    if ((y1 > y) !== (y2 > y) && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  }
  return inside;
}

function drawLasso(context) {
  if (!lasso.path) return;
  context.beginPath();
  for (const place of lasso.path) context.lineTo(...toScreen(place));
  context.closePath();
  context.lineWidth = 2;
  context.strokeStyle = color("accent");
  context.stroke();
  context.globalAlpha = 0.15;
  context.fillStyle = color("accent");
  context.fill();
  context.globalAlpha = 1;
}

function startLasso() {
  const button = byId("map-lasso");
  button.addEventListener("click", () => {
    lasso.on = !lasso.on;
    button.setAttribute("aria-pressed", String(lasso.on));
    canvas.classList.toggle("lasso", lasso.on);
  });
}
