// Where images are on the screen, and which is nearest to a point or in a direction.

const CELLS = 64; // of a side of the grid by which images are found
const view = { scale: 1, x: 0.5, y: 0.5, width: 1, height: 1 };
const grid = new Map();

function buildGrid() {
  images.place.forEach(([x, y], i) => {
    const cell = gridCell(x) * CELLS + gridCell(y);
    if (!grid.has(cell)) grid.set(cell, []);
    grid.get(cell).push(i);
  });
}

function gridCell(value) {
  return Math.max(0, Math.min(CELLS - 1, Math.floor(value * CELLS)));
}

// Pixels of the unit square's side.
function unit() {
  return view.scale * (Math.min(view.width, view.height) - 32);
}

function toScreen([x, y]) {
  return [view.width / 2 + (x - view.x) * unit(), view.height / 2 - (y - view.y) * unit()];
}

function toMap(x, y) {
  return [view.x + (x - view.width / 2) / unit(), view.y - (y - view.height / 2) / unit()];
}

// The visible image nearest to a place on the screen, at most so many pixels away.
function imageAt(x, y, reach = 14) {
  const [mapX, mapY] = toMap(x, y);
  const radius = reach / unit();
  let best = null, least = radius * radius;
  for (let column = gridCell(mapX - radius); column <= gridCell(mapX + radius); column++) {
    for (let row = gridCell(mapY - radius); row <= gridCell(mapY + radius); row++) {
      for (const i of grid.get(column * CELLS + row) ?? []) {
        const distance = (images.place[i][0] - mapX) ** 2 + (images.place[i][1] - mapY) ** 2;
        if (state.visible[i] && distance <= least) [best, least] = [i, distance];
      }
    }
  }
  return best;
}

// The visible image that one comes to from image i by going (dx, dy); up is positive.
function imageTowards(i, dx, dy) {
  const [fromX, fromY] = images.place[i];
  let best = null, least = Infinity;
  for (let j = 0; j < N; j++) {
    if (!state.visible[j] || j === i) continue;
    const ahead = (images.place[j][0] - fromX) * dx + (images.place[j][1] - fromY) * dy;
    const aside = Math.abs((images.place[j][0] - fromX) * dy) + Math.abs((images.place[j][1] - fromY) * dx);
    if (ahead <= 0 || aside > ahead) continue;
    const cost = ahead + 2 * aside;
    if (cost < least) [best, least] = [j, cost];
  }
  return best;
}

function zoomBy(factor, x = view.width / 2, y = view.height / 2) {
  const before = toMap(x, y);
  view.scale = Math.max(1, Math.min(60, view.scale * factor));
  const after = toMap(x, y);
  view.x += before[0] - after[0];
  view.y += before[1] - after[1];
  keepInSight();
}

function panBy(dx, dy) {
  view.x -= dx / unit();
  view.y += dy / unit();
  keepInSight();
}

function keepInSight() {
  if (view.scale === 1) [view.x, view.y] = [0.5, 0.5];
  view.x = Math.max(0, Math.min(1, view.x));
  view.y = Math.max(0, Math.min(1, view.y));
}
