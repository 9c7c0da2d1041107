"""Vectors of nouns: given, encoded, or read from the disk cache."""

import hashlib
import os
import warnings
from pathlib import Path

import numpy as np

from .._backend._progress import progress_bar
from ._vocabulary import Vocabulary, format_prompt

# Encoders by the width of their vectors, for error messages.
ENCODERS = {
    512: "CLIPEmbedder('ViT-B-32')",
    640: "CLIPEmbedder('RN50x4')",
    768: "CLIPEmbedder('ViT-L-14')",
    1001: "OfflineEmbedder()",
    1024: "CLIPEmbedder('ViT-H-14')",
}
# From this size on (minutes of a text encoder on a CPU) vectors are kept on disk.
CACHED_NOUNS = 10_000
# Prompts encoded between two writes, so that little is lost when a run is killed.
CHUNK = 512


def read_vocabulary(vocabulary, prompt):
    """Return the :class:`Vocabulary` that an estimator's parameter stands for.

    Raises
    ------
    ValueError
        If `prompt` does not hold ``{}`` once, or there are no nouns.
    """
    if prompt.count("{}") != 1:
        raise ValueError(
            f"prompt must hold {{}} once, where the noun goes, got {prompt!r}."
        )
    if isinstance(vocabulary, Vocabulary):
        return vocabulary
    if isinstance(vocabulary, str):  # "wordnet", by parameter validation
        return Vocabulary.from_wordnet()
    return Vocabulary(vocabulary)


def noun_vectors(vocabulary, make_embedder, prompt, n_features):
    """Return the unit vectors of all nouns, (n_nouns, n_features).

    ``make_embedder()`` returns the encoder, if the nouns have no vectors.

    Raises
    ------
    ValueError
        If the vectors have another width than the images' embeddings, `n_features`.
    """
    embedder = None if vocabulary.embeddings is not None else make_embedder()

    def check(vectors):
        if (width := vectors.shape[1]) == n_features:
            return
        of = getattr(embedder, "encoder_id", ENCODERS.get(width))
        fits = ENCODERS.get(n_features)
        raise ValueError(
            f"The nouns' vectors have {width} columns{f' ({of})' if of else ''} "
            f"but X has {n_features}: both must come from the same encoder"
            + (f"; {fits} gives {n_features}." if fits else ".")
        )

    return vocabulary_embeddings(vocabulary, embedder, prompt, check)


def vocabulary_embeddings(vocabulary, embedder, prompt, check=lambda vectors: None):
    """Return the unit vectors of a vocabulary, encoding its nouns where it has none.

    Vectors of 10,000 nouns and more (WordNet's) are computed once and memory-mapped
    from a file in ``datasets.get_data_home()``; a run that was killed goes on where it
    stopped.

    Parameters
    ----------
    vocabulary : Vocabulary
        The nouns.
    embedder : object or None
        With `encode_nouns(nouns, synsets, prompt)`, or else `encode_texts(texts)`.
    prompt : str
        With ``{}`` where the noun goes.
    check : callable, default=no check
        Called with the first vectors that are there; may raise, before all the others
        are computed.
    """
    if vocabulary.embeddings is not None:
        check(vocabulary.embeddings)
        return vocabulary.embeddings
    if hasattr(embedder, "encode_nouns"):

        def encode(part):
            return embedder.encode_nouns(part.nouns, part.synsets, prompt)
    else:

        def encode(part):
            return embedder.encode_texts([format_prompt(prompt, n) for n in part])

    def encode_all():
        first = _unit_rows(encode(vocabulary[:CHUNK]))
        check(first)
        if len(vocabulary) <= CHUNK:
            return first
        return np.concatenate([first, _unit_rows(encode(vocabulary[CHUNK:]))])

    if len(vocabulary) < CACHED_NOUNS or not hasattr(embedder, "encoder_id"):
        return encode_all()
    path = _cache_path(vocabulary, embedder, prompt)
    try:
        return _cached(path, vocabulary, encode, check)
    except OSError as error:
        if error.errno is None:  # not of the file system: the encoder's own
            raise
        warnings.warn(
            f"The vectors of {len(vocabulary):,} nouns cannot be kept in {path}, they "
            f"are computed anew each time: {error}",
            stacklevel=2,
        )
        return encode_all()


def _cache_path(vocabulary, embedder, prompt):
    from ..datasets import get_data_home

    digest = hashlib.sha256()
    synsets = (str(synset) for synset in vocabulary.synsets)
    for text in (embedder.encoder_id, prompt, *vocabulary.nouns, *synsets):
        digest.update(text.encode() + b"\0")
    return Path(get_data_home()) / "nouns" / f"{digest.hexdigest()[:32]}.npy"


def _cached(path, vocabulary, encode, check):
    """Read the vectors at `path`, or compute them there, a chunk at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = _open(path, len(vocabulary), "r")
    if vectors is not None:
        check(vectors)
        return vectors
    partial = path.with_suffix(".partial.npy")
    vectors = _open(partial, len(vocabulary), "r+")
    if vectors is not None:
        check(vectors)
    n = len(vocabulary)
    with progress_bar(n, "noun", "Nouns", verbose=0) as progress:
        for i in range(0, n, CHUNK):
            chunk = slice(i, i + CHUNK)
            # The file starts as zeros, so a row is done when it has unit length.
            if vectors is None or not _is_unit(vectors[chunk]):
                new = _unit_rows(encode(vocabulary[chunk]))
                if vectors is None:
                    check(new)
                    vectors = _create(partial, (n, new.shape[1]))
                vectors[chunk] = new
            progress.update(min(CHUNK, n - i))
    vectors.flush()
    os.replace(partial, path)
    return _open(path, len(vocabulary), "r")


def _create(path, shape):
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):
        # Reserve the blocks: a full disk is an error now, not a crash while writing.
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError:
            path.unlink()
            raise
    return vectors


def _open(path, n_rows, mode):
    """Open a file of vectors; None if there is none or it is damaged."""
    try:
        vectors = np.lib.format.open_memmap(path, mode)
    except (FileNotFoundError, ValueError, EOFError):  # missing, truncated, garbage
        return None
    return vectors if vectors.ndim == 2 and len(vectors) == n_rows else None


def _is_unit(vectors):
    return np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def _unit_rows(vectors):
    vectors = np.array(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
