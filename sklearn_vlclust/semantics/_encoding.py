"""Vectors of nouns: given, encoded, or read from the disk cache."""

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from ._vocabulary import format_prompt

# From this size on (minutes of a text encoder on a CPU) vectors are kept on disk.
CACHED_NOUNS = 10_000
# Prompts encoded between two writes, so that little is lost when a run is killed.
CHUNK = 2048


def vocabulary_embeddings(vocabulary, embedder, prompt):
    """Return the unit vectors of a vocabulary, encoding its nouns where it has none.

    Parameters
    ----------
    vocabulary : Vocabulary
        The nouns.
    embedder : object or None
        With `encode_nouns(nouns, synsets, prompt)`, or else `encode_texts(texts)`.
        Not used where the vocabulary has vectors.
    prompt : str
        With ``{}`` where the noun goes.

    Returns
    -------
    embeddings : ndarray of shape (n_nouns, n_features), float32
        Rows of unit length. Those of 10,000 nouns and more (WordNet's) are computed
        once and memory-mapped from a file in ``datasets.get_data_home()``; a run that
        was killed goes on where it stopped.
    """
    if vocabulary.embeddings is not None:
        return vocabulary.embeddings
    if hasattr(embedder, "encode_nouns"):

        def encode(part):
            return embedder.encode_nouns(part.nouns, part.synsets, prompt)
    else:

        def encode(part):
            return embedder.encode_texts([format_prompt(prompt, n) for n in part])

    if len(vocabulary) < CACHED_NOUNS:
        return _unit_rows(encode(vocabulary))
    path = _cache_path(vocabulary, embedder, prompt)
    try:
        return _cached(path, vocabulary, encode)
    except OSError as error:
        warnings.warn(
            f"The vectors of {len(vocabulary):,} nouns cannot be kept in {path}, they "
            f"are computed anew each time: {error}",
            stacklevel=2,
        )
        return _unit_rows(encode(vocabulary))


def _cache_path(vocabulary, embedder, prompt):
    from ..datasets import get_data_home

    digest = hashlib.sha256()
    synsets = (str(synset) for synset in vocabulary.synsets)
    for text in (embedder.encoder_id, prompt, *vocabulary.nouns, *synsets):
        digest.update(text.encode() + b"\0")
    return Path(get_data_home()) / "nouns" / f"{digest.hexdigest()[:32]}.npy"


def _cached(path, vocabulary, encode):
    """Read the vectors at `path`, or compute them there, a chunk at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if (vectors := _open(path, len(vocabulary), "r")) is not None:
        return vectors
    partial = path.with_suffix(".partial.npy")
    vectors = _open(partial, len(vocabulary), "r+")
    # A file of zeros is made first, so a row is done when it has unit length.
    for i in range(0, len(vocabulary), CHUNK):
        chunk = slice(i, i + CHUNK)
        if vectors is None:
            first = _unit_rows(encode(vocabulary[chunk]))
            vectors = _create(partial, (len(vocabulary), first.shape[1]))
            vectors[chunk] = first
        elif not np.allclose(np.linalg.norm(vectors[chunk], axis=1), 1, atol=1e-3):
            vectors[chunk] = _unit_rows(encode(vocabulary[chunk]))
    vectors.flush()
    os.replace(partial, path)
    return _open(path, len(vocabulary), "r")


def _create(path, shape):
    # Blocks are reserved now: a full disk is an error here, not a crash while writing.
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return vectors


def _open(path, n_rows, mode):
    """Open a file of vectors; None if there is none or it is damaged."""
    try:
        vectors = np.lib.format.open_memmap(path, mode)
    except (FileNotFoundError, ValueError, EOFError):  # missing, truncated, garbage
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == n_rows else None


def _unit_rows(vectors):
    vectors = np.array(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
