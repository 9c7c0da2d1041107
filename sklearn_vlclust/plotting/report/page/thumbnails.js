// Rows of thumbnails. A row is one stop of the Tab key; arrow keys go on within it.

const PAGE = 120; // images that are added at a time

function thumbnail(i, small = false) {
  return el("button", {
    type: "button", class: small ? "thumb small" : "thumb", title: images.name[i],
    "data-image": i, tabindex: -1, onclick: () => openImage(i),
  }, imageElement(i));
}

function thumbnailList(list, label, { note = null, small = false } = {}) {
  const row = el("ul", { class: "thumbs", "aria-label": label });
  appendThumbnails(row, list, note, small);
  return row;
}

function appendThumbnails(row, list, note = null, small = false) {
  row.append(...list.map((i) => el("li", { class: note ? "with-note" : null },
    thumbnail(i, small), note && note(i))));
  const first = row.querySelector(".thumb");
  if (first && !row.querySelector('.thumb[tabindex="0"]')) first.tabIndex = 0;
}

// A list of any length: more is added when its end comes into view, or on demand.
function longThumbnailList(list, label) {
  const row = thumbnailList(list.slice(0, PAGE), label);
  row.classList.add("all");
  if (list.length <= PAGE) return [row];
  let shown = PAGE;
  const more = el("button", { type: "button", onclick: add });
  const observer = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && add(),
    { root: row, rootMargin: "400px" },
  );
  function add() {
    observer.disconnect();
    appendThumbnails(row, list.slice(shown, shown + PAGE));
    shown = Math.min(list.length, shown + PAGE);
    mark();
  }
  function mark() {
    more.hidden = shown === list.length;
    more.textContent = `Show more of ${count(list.length - shown, "image")}`;
    if (!more.hidden) observer.observe(row.lastElementChild);
  }
  mark();
  return [row, more];
}

function startThumbnails() {
  document.addEventListener("keydown", (event) => {
    const current = event.target.closest?.(".thumbs .thumb");
    if (!current || event.ctrlKey || event.altKey || event.metaKey) return;
    const all = [...current.closest(".thumbs").querySelectorAll(".thumb")];
    const target = neighbor(all, all.indexOf(current), event.key);
    if (!target) return;
    event.preventDefault();
    focusThumbnail(all, target);
  });
  document.addEventListener("focusin", (event) => {
    const current = event.target.closest?.(".thumbs .thumb");
    if (current) markStop(current.closest(".thumbs").querySelectorAll(".thumb"), current);
  });
}

function neighbor(all, at, key) {
  const columns = all.filter((node) => node.offsetTop === all[0].offsetTop).length || 1;
  const steps = {
    ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
    Home: 0, End: all.length - 1,
  };
  return all[steps[key]];
}

function focusThumbnail(all, target) {
  markStop(all, target);
  target.focus();
}

function markStop(all, stop) {
  for (const node of all) node.tabIndex = node === stop ? 0 : -1;
}
