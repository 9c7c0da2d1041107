// Search without an encoder. Images and nouns are points on the principal axes of the
// images; a phrase is the sum of the words in it that are known.

const MATCHES = 5; // best images, whose mean score stands for a match
const STOP = new Set(("a an and are at by for from in into is it its my of on or our some the their "
  + "there this to two with photo picture image photos pictures images").split(" "));
const PLURALS = [["ies", "y"], ["ves", "f"], ["men", "man"], ["es", ""], ["s", ""]];

const vectors = data.search && { width: data.search.scales.length, ...data.search };
const words = new Map(); // folded word -> number of its noun
if (vectors) {
  vectors.words.forEach((word, at) => {
    if (!words.has(folded(word))) words.set(folded(word), vectors.nounOf[at]);
  });
}

function folded(text) {
  return text.normalize("NFKC").toLowerCase();
}

// Bytes become numbers when they are first needed.
function imageVectors() {
  vectors.image ??= unpack(vectors.images, vectors.scales);
  return vectors.image;
}

function nounVectors() {
  vectors.noun ??= unpack(vectors.nouns, vectors.nounScales);
  return vectors.noun;
}

function unpack(text, scales) {
  const bytes = atob(text), numbers = new Float32Array(bytes.length), width = scales.length;
  for (let at = 0; at < bytes.length; at++) {
    numbers[at] = ((bytes.charCodeAt(at) << 24) >> 24) * scales[at % width];
  }
  return numbers;
}

function rowOf(numbers, i) {
  return numbers.subarray(i * vectors.width, (i + 1) * vectors.width);
}

function dot(a, b) {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at] * b[at];
  return sum;
}

function knownWord(text) {
  if (words.has(text)) return text;
  for (const [plural, singular] of PLURALS) {
    const word = text.slice(0, -plural.length) + singular;
    if (text.endsWith(plural) && words.has(word)) return word;
  }
  return null;
}

// The known words of a phrase, the longest first, and those that are not known.
function wordsOf(phrase) {
  const tokens = folded(phrase).split(/[^\p{L}\p{N}'-]+/u).filter(Boolean);
  const found = [], unknown = [];
  for (let at = 0; at < tokens.length;) {
    let length = Math.min(4, tokens.length - at), word = null;
    for (; length; length--) {
      const part = tokens.slice(at, at + length).join(" ");
      word = length === 1 && STOP.has(part) ? null : knownWord(part);
      if (word !== null) break;
    }
    if (word !== null) found.push(word);
    else if (!STOP.has(tokens[at])) unknown.push(tokens[at]);
    at += length || 1;
  }
  return { found, unknown };
}

function meaning(found) {
  const sum = new Float32Array(vectors.width);
  for (const word of found) {
    rowOf(nounVectors(), words.get(word)).forEach((value, at) => { sum[at] += value; });
  }
  return sum;
}

// Score of all images, and the one from which an image is a match: nearer to the best
// than to the average.
function scoreBy(vector) {
  const all = imageVectors(), scores = new Float32Array(N);
  for (let i = 0; i < N; i++) scores[i] = dot(rowOf(all, i), vector);
  const best = Float32Array.from(scores).sort().slice(-MATCHES);
  const top = best.reduce((a, b) => a + b, 0) / best.length;
  const mean = scores.reduce((a, b) => a + b, 0) / N;
  return { scores, least: top > mean ? (top + mean) / 2 : Infinity };
}

// The images nearest to an image, nearest first.
function nearestImages(i, most) {
  const all = imageVectors(), own = rowOf(all, i);
  const distance = (j) => dot(rowOf(all, j), rowOf(all, j)) - 2 * dot(rowOf(all, j), own);
  const ranked = Array.from({ length: N }, (_, j) => [distance(j), j]).filter(([, j]) => j !== i);
  return ranked.sort((a, b) => a[0] - b[0]).slice(0, most).map(([, j]) => j);
}

// The nouns chosen for these images that are nearest to an image.
function closestWords(i, most = 5) {
  const own = rowOf(imageVectors(), i);
  const nouns = Array.from({ length: vectors.near }, (_, noun) =>
    [vectors.offsets[noun] + dot(rowOf(nounVectors(), noun), own), noun]);
  const best = nouns.sort((a, b) => b[0] - a[0]).slice(0, most);
  return best.map(([, noun]) => vectors.words[vectors.nounOf.indexOf(noun)]);
}

// Words that begin as the text does, the shortest first.
function suggest(text, most = 12) {
  const found = [];
  for (const word of words.keys()) if (word.startsWith(text)) found.push(word);
  return found.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).slice(0, most);
}
