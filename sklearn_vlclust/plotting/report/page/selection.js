// Images that the reader has selected, and what can be done with them.

const picked = new Uint8Array(N);
const CSV_COLUMNS = ["path", "cluster", "name", data.certaintyName];

function pickedImages() {
  return [...picked.keys()].filter((i) => picked[i]);
}

function pick(list, on = true) {
  for (const i of list) picked[i] = on ? 1 : 0;
  renderSelection();
}

function pathOf(i) {
  if (data.folder === null) return images.name[i];
  const between = data.folder.includes("\\") ? "\\" : "/";
  return data.folder.endsWith(between) ? data.folder + images.name[i] : data.folder + between + images.name[i];
}

// The address of an original, or null. Bytes of a name that are no UTF-8 are lone
// surrogates here, as in Python.
function linkTo(i) {
  if (data.folder === null) return null;
  const path = pathOf(i).replaceAll("\\", data.folder.includes("\\") ? "/" : "\\");
  const encoded = Array.from(path, (letter) => {
    const code = letter.charCodeAt(0);
    if (letter === "/" || letter === ":") return letter;
    if (letter.length === 1 && code >= 0xdc80 && code <= 0xdcff) return `%${(code - 0xdc00).toString(16)}`;
    const half = letter.length === 1 && code >= 0xd800 && code < 0xe000;
    return half ? "" : encodeURIComponent(letter);
  }).join("");
  return `file://${encoded.startsWith("/") ? "" : "/"}${encoded}`;
}

// As the tables of the command line: a cell that a spreadsheet would run gets an
// apostrophe in front.
function cell(value) {
  let text = String(value ?? "");
  const seen = text.replace(/^[\p{Z}\p{C}]+/u, "").normalize("NFKC");
  if (typeof value === "string" && (/^[=+\-@−]/u.test(seen) || /[\t\r\n]/.test(text))) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function toCsv(list) {
  const rows = list.map((i) => [
    pathOf(i), clusterOf(i).label, clusterOf(i).names.length ? clusterName(clusterOf(i)) : "", images.certainty[i]]);
  return [CSV_COLUMNS, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function saveFile(name, text, type) {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copyText(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    const area = el("textarea", { class: "unseen" });
    area.value = text;
    button.after(area);
    area.select();
    button.textContent = document.execCommand("copy") ? "Copied" : "Could not copy";
    area.remove();
    button.focus();
  }
  setTimeout(() => { button.textContent = label; }, 1500);
}

function renderSelection() {
  const list = pickedImages();
  const bar = byId("selection");
  bar.hidden = !list.length;
  byId("picked-count").textContent = list.length ? `${count(list.length, "image")} selected` : "";
  for (const node of document.querySelectorAll(".thumb")) markPicked(node);
  if (!list.length && byId("only-picked").checked) {
    byId("only-picked").checked = false;
    applyFilter();
  } else if (byId("only-picked").checked) applyFilter();
  redraw();
}

function markPicked(node) {
  node.classList.toggle("picked", picked[node.dataset.image] === 1);
}

function startSelection() {
  const lines = () => pickedImages().map((i) => `${pathOf(i)}\n`).join("");
  const copy = el("button", { type: "button", onclick: () => copyText(lines(), copy) }, "Copy paths");
  byId("selection").append(
    el("p", { id: "picked-count", role: "status" }),
    copy,
    el("button", { type: "button", onclick: () => saveFile("selection.csv", toCsv(pickedImages()), "text/csv") }, "Save CSV"),
    el("button", { type: "button", onclick: () => saveFile("selection.txt", lines(), "text/plain") }, "Save paths"),
    el("label", {}, el("input", { type: "checkbox", id: "only-picked", onchange: applyFilter }), " Show only these"),
    el("button", { type: "button", onclick: () => pick(pickedImages(), false) }, "Clear"));
}
