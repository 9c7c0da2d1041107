"""Images and words in few bytes each, for a search that needs no encoder."""

import base64
from dataclasses import dataclass

import numpy as np

from ...datasets.nouns import noun_hierarchy
from ...semantics._encoding import read_vocabulary

# Principal axes of the images that are kept, and images that they are computed from.
AXES, SAMPLE = 64, 10_000
# Largest number of nouns that can be searched for.
NOUNS = 16_384


@dataclass(frozen=True)
class SearchVectors:
    """Images and nouns on the principal axes of the images, one byte per number.

    Attributes
    ----------
    images : ndarray of shape (n, d), int8
        Images, less their mean.
    scales : ndarray of shape (d,)
        What a unit of each column stands for.
    words : list of (str, int)
        What can be searched for, and the number of its noun. None twice.
    nouns : ndarray of shape (m, d), int8
        The nouns.
    noun_scales : ndarray of shape (d,)
        What a unit of each of their columns stands for.
    offsets : ndarray of shape (m,)
        Cosine of each noun with the mean image.
    n_near : int
        So many nouns, the first, were chosen to describe the images.
    """

    images: np.ndarray
    scales: np.ndarray
    words: list
    nouns: np.ndarray
    noun_scales: np.ndarray
    offsets: np.ndarray
    n_near: int

    def to_json(self):
        """Return JSON values."""
        return {
            "images": _base64(self.images),
            "scales": [float(f"{s:.4g}") for s in self.scales],
            "words": [word for word, _ in self.words],
            "nounOf": [noun for _, noun in self.words],
            "nouns": _base64(self.nouns),
            "nounScales": [float(f"{s:.4g}") for s in self.noun_scales],
            "offsets": [round(float(offset), 4) for offset in self.offsets],
            "near": self.n_near,
        }


def make_search(rows, shown, source):
    """Return :class:`SearchVectors` of some images, and of the nouns of `source`.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        All images.
    shown : ndarray of int
        Those that can be found.
    source : SemanticSpace, ClusterCaptioner or None
        What the clusters are named by.
    """
    index = np.unique(np.linspace(0, len(rows) - 1, SAMPLE).astype(int))
    sample = rows[index].astype(np.float64)
    mean = sample.mean(axis=0)
    _, axes = np.linalg.eigh((sample - mean).T @ (sample - mean))
    axes = axes[:, ::-1][:, :AXES]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    axes = axes.astype(np.float32)
    offset = (mean @ axes).astype(np.float32)
    images = np.empty((len(shown), axes.shape[1]), dtype=np.float32)
    for start in range(0, len(shown), 16_384):
        block = slice(start, start + 16_384)
        images[block] = rows[shown[block]] @ axes - offset
    texts, vectors, n_near = _nouns(source, rows.shape[1])
    nouns, noun_scales = _in_bytes(vectors @ axes)
    offsets = vectors @ mean.astype(np.float32)
    images, scales = _in_bytes(images)
    return SearchVectors(images, scales, texts, nouns, noun_scales, offsets, n_near)


def _nouns(source, width):
    """Return words with the numbers of their nouns, vectors, and how many are near."""
    near, near_vectors = _chosen_nouns(source, width)
    try:
        vocabulary, vectors = _whole_vocabulary(source, width)
    except (ImportError, LookupError, OSError, ValueError):
        # A model that was loaded may lack its encoder: the chosen nouns are left.
        return [(noun, i) for i, noun in enumerate(near)], near_vectors, len(near)
    place = {noun: i for i, noun in enumerate(vocabulary.nouns)}
    first = [place[noun] for noun in near if noun in place]
    kept = np.array(first + _others(vocabulary, vectors, near_vectors, set(first)))
    hierarchy = noun_hierarchy() if any(vocabulary.synsets) else None
    words: dict[str, int] = {}
    for number, i in enumerate(kept):
        for word in _words_of(vocabulary.nouns[i], vocabulary.synsets[i], hierarchy):
            words.setdefault(word, number)
    return list(words.items()), vectors[kept], len(first)


def _chosen_nouns(source, width):
    """Return the nouns that were chosen to describe the images, and their vectors."""
    nouns = getattr(source, "nouns_", None)
    if nouns is not None:
        return [str(noun) for noun in nouns], source.embeddings_
    nouns = getattr(source, "candidates_", [])
    return list(dict.fromkeys(str(n) for own in nouns for n in own)), np.empty(
        (0, width), np.float32
    )


def _whole_vocabulary(source, width):
    """Return the vocabulary of a space or captioner, and its vectors."""
    if source is None:
        raise LookupError("no words")
    vocabulary = read_vocabulary(source.vocabulary, source.prompt)
    if vocabulary.embeddings is None and source.embedder is None:
        raise LookupError("nothing says which encoder made the vectors")
    return vocabulary, source._noun_vectors(vocabulary, width)


def _others(vocabulary, vectors, near, taken):
    """Return more nouns: those that people use, then those nearest to the images."""
    n = min(NOUNS, len(vocabulary)) - len(taken)
    used = np.zeros(len(vocabulary), dtype=int)
    if len(vocabulary) > NOUNS and any(vocabulary.synsets):
        hierarchy = noun_hierarchy()
        for i, synset in enumerate(vocabulary.synsets):
            if synset is not None:
                used[i] = hierarchy.frequency(hierarchy.position(synset), "")
    close = np.zeros(len(vocabulary), dtype=np.float32)
    for start in range(0, len(vocabulary) if len(near) else 0, 4096):
        block = slice(start, start + 4096)
        close[block] = (vectors[block] @ near.T).max(axis=1)
    order = np.lexsort((-close, -used))
    return [int(i) for i in order if i not in taken][: max(n, 0)]


def _words_of(noun, synset, hierarchy):
    """Yield a noun, and the words whose first meaning it is."""
    yield str(noun)
    if synset is not None:
        position = hierarchy.position(synset)
        for word in hierarchy.lemmas[position]:
            if hierarchy.senses(word)[0] == position:
                yield word


def _in_bytes(values):
    """Return columns as int8, and what a unit of each stands for."""
    largest = np.abs(values).max(axis=0, initial=0)
    scales = np.where(largest > 0, largest, 1) / 127
    return np.rint(values / scales).astype(np.int8), scales


def _base64(values):
    return base64.b64encode(values.tobytes()).decode()
