// Small pictures: tiles of square sheets, each decoded when one of its tiles is shown.

const sheets = byId("thumbnails").textContent.split("\n");
byId("thumbnails").remove(); // megabytes that are not needed twice
const sheetUrls = [];
const sheetImages = [];

function sheetUrl(sheet) {
  if (!sheetUrls[sheet]) {
    const bytes = Uint8Array.from(atob(sheets[sheet]), (letter) => letter.charCodeAt(0));
    sheetUrls[sheet] = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
    sheets[sheet] = "";
  }
  return sheetUrls[sheet];
}

// Sheet, row and column of an image.
function tileOf(i) {
  const side = data.columns;
  const at = images.tile[i] % (side * side);
  return [Math.floor(images.tile[i] / (side * side)), Math.floor(at / side), at % side];
}

// A picture of an image; without a text it is decoration.
function picture(i, text = null) {
  const node = el("span", text === null
    ? { class: "tile", "aria-hidden": "true" } : { class: "tile", role: "img", "aria-label": text });
  const [sheet, row, column] = tileOf(i);
  const share = (place) => `${(100 * place) / Math.max(1, data.columns - 1)}%`;
  node.style.backgroundImage = `url(${sheetUrl(sheet)})`;
  node.style.backgroundSize = `${100 * data.columns}%`;
  node.style.backgroundPosition = `${share(column)} ${share(row)}`;
  return node;
}

// Draw an image on a canvas; false, and `later` is called, if it is not decoded yet.
function drawPicture(context, i, x, y, side, later) {
  const [sheet, row, column] = tileOf(i);
  if (!sheetImages[sheet]) {
    sheetImages[sheet] = new Image();
    sheetImages[sheet].addEventListener("load", later);
    sheetImages[sheet].src = sheetUrl(sheet);
  }
  const from = sheetImages[sheet];
  if (!from.naturalWidth) return false;
  const tile = Math.floor(from.naturalWidth / data.columns);
  context.drawImage(from, column * tile, row * tile, tile, tile, x, y, side, side);
  return true;
}
