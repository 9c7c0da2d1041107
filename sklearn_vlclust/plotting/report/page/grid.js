// Rows of pictures, of any length. A row is one stop of the Tab key; arrow keys go on
// within it.

const SPARE = 3; // rows of a grid that are drawn above and below what is seen

// `list` is what the dialog's previous and next go through.
function thumbnail(i, list = [i], small = false) {
  const node = el("button", {
    type: "button", class: small ? "thumb small" : "thumb", title: images.name[i],
    "aria-label": images.name[i], "data-image": i, tabindex: -1,
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey) pick([i], !picked[i]);
      else openImage(i, list);
    },
  }, picture(i));
  markPicked(node);
  return node;
}

function thumbnailList(list, label, { note = null, small = false, through = list } = {}) {
  const row = el("ul", { class: "thumbs", "aria-label": label }, ...list.map((i) =>
    el("li", { class: note ? "with-note" : null }, thumbnail(i, through, small), note && note(i))));
  const first = row.querySelector(".thumb");
  if (first) first.tabIndex = 0;
  return row;
}

// A list of any length, of which only what is in sight is made.
function pictureGrid(list, label) {
  const row = el("ul", { class: "thumbs", "aria-label": label });
  const space = el("div", { class: "space" }, row);
  const node = el("div", { class: "grid" }, space);
  const grid = { list, node, row, columns: 1, cell: 1, stop: 0, made: new Map(), from: -1, to: -1 };
  row.grid = grid;
  node.addEventListener("scroll", () => renderGrid(grid), { passive: true });
  new ResizeObserver(() => {
    grid.cell = parseFloat(getComputedStyle(node).getPropertyValue("--cell"));
    grid.columns = Math.max(1, Math.floor((node.clientWidth - 8) / grid.cell));
    space.style.height = `${Math.ceil(list.length / grid.columns) * grid.cell}px`;
    grid.from = -1;
    renderGrid(grid);
  }).observe(node);
  return node;
}

function renderGrid(grid) {
  const { node, list, row, columns, cell } = grid;
  const top = Math.max(0, Math.floor(node.scrollTop / cell) - SPARE);
  const from = top * columns;
  const to = Math.min(list.length, from + columns * (Math.ceil(node.clientHeight / cell) + 2 * SPARE));
  if (from === grid.from && to === grid.to) return;
  const made = new Map();
  for (let at = from; at < to; at++) {
    made.set(at, grid.made.get(at) ?? el("li", { "aria-setsize": list.length, "aria-posinset": at + 1 },
      thumbnail(list[at], list)));
  }
  for (const [at, item] of grid.made) if (!made.has(at)) item.remove();
  let before = null; // those that stay are not moved, and keep the focus
  for (const item of made.values()) {
    if (item.parentNode !== row) {
      if (before) before.after(item);
      else row.prepend(item);
    }
    before = item;
  }
  row.style.transform = `translateY(${top * cell}px)`;
  Object.assign(grid, { made, from, to });
  if (!made.has(grid.stop)) grid.stop = from;
  markStop(row.querySelectorAll(".thumb"), made.get(grid.stop)?.firstChild);
}

function onGridKey(event) {
  const current = event.target.closest?.(".thumbs .thumb");
  if (!current || event.ctrlKey || event.altKey || event.metaKey) return;
  const row = current.closest(".thumbs");
  const all = [...row.querySelectorAll(".thumb")];
  if (event.key.toLowerCase() === "s") {
    pick([Number(current.dataset.image)], !picked[current.dataset.image]);
    return;
  }
  if (row.grid) moveInGrid(row.grid, all.indexOf(current) + row.grid.from, event);
  else {
    const columns = all.filter((node) => node.offsetTop === all[0].offsetTop).length || 1;
    const target = all[keyTarget(event.key, all.indexOf(current), columns, all.length)];
    if (!target) return;
    event.preventDefault();
    markStop(all, target);
    target.focus();
  }
}

function moveInGrid(grid, at, event) {
  const target = keyTarget(event.key, at, grid.columns, grid.list.length);
  if (target === undefined || target < 0 || target >= grid.list.length) return;
  event.preventDefault();
  grid.stop = target;
  const top = Math.floor(target / grid.columns) * grid.cell;
  if (top < grid.node.scrollTop) grid.node.scrollTop = top;
  const end = top + grid.cell - grid.node.clientHeight;
  if (end > grid.node.scrollTop) grid.node.scrollTop = end;
  renderGrid(grid);
  const node = grid.made.get(target).firstChild;
  markStop(grid.row.querySelectorAll(".thumb"), node);
  node.focus({ preventScroll: true });
}

function keyTarget(key, at, columns, length) {
  return {
    ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
    Home: 0, End: length - 1,
  }[key];
}

function markStop(all, stop) {
  for (const node of all) node.tabIndex = node === stop ? 0 : -1;
}

function startGrids() {
  document.addEventListener("keydown", onGridKey);
  document.addEventListener("focusin", (event) => {
    const current = event.target.closest?.(".thumbs .thumb");
    if (current) markStop(current.closest(".thumbs").querySelectorAll(".thumb"), current);
  });
}
