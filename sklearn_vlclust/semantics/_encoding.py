"""Vectors of nouns: given, encoded, or read from the disk cache."""

import errno
import hashlib
import os
import time
import warnings
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import numpy as np

from .._backend._files import locked, new_hash
from .._backend._progress import progress_bar
from ._phrases import prompt_texts
from ._vocabulary import Vocabulary

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
# Seconds without a new chunk after which another process counts as stopped.
STALLED = 600
_CHECKSUM = new_hash().digest_size


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


def noun_classes(vocabulary, make_embedder, n_features):
    """Return what the encoder tells apart and which of it the nouns are, or None.

    Of an encoder with a method `noun_classes`, if the nouns have no vectors and the
    images' embeddings may be its own.
    """
    if vocabulary.embeddings is not None:
        return None
    embedder = make_embedder()
    if not hasattr(embedder, "noun_classes"):
        return None
    if len(embedder.get_feature_names_out()) != n_features:
        return None
    return embedder.noun_classes(vocabulary.nouns, vocabulary.synsets)


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

        def encode_words(words, synsets):
            return embedder.encode_nouns(words, synsets, prompt)
    else:

        def encode_words(words, synsets):
            return embedder.encode_texts(prompt_texts(prompt, words, synsets))

    def encode(part):
        if not part.synonyms:
            return encode_words(part.nouns, part.synsets)
        words = [(noun, *part.synonyms.get(noun, ())) for noun in part]
        counts = np.array([len(own) for own in words])
        vectors = _unit_rows(
            encode_words(list(chain(*words)), np.repeat(part.synsets, counts))
        )
        return np.add.reduceat(vectors, np.cumsum(counts) - counts)

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
    texts = [embedder.encoder_id, prompt, *vocabulary.nouns]
    texts += map(str, vocabulary.synsets)
    if None in vocabulary.synsets:  # phrases have had articles of their own since then
        texts += [f"phrases-1 {vocabulary.synonyms}"]
    elif vocabulary.synonyms:
        texts += [str(vocabulary.synonyms)]
    for text in texts:
        digest.update(text.encode() + b"\0")
    return Path(get_data_home()) / "nouns" / f"{digest.hexdigest()[:32]}.npy"


def _cached(path, vocabulary, encode, check):
    """Read the vectors at `path`, or compute them there, a chunk at a time.

    The file has the header of a `.npy` file, rows, and a checksum, which is there once
    all rows are. It is read, not mapped: a mapped file that somebody truncates ends
    the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    vectors = _read(path, len(vocabulary))
    if vectors is None:
        with _locked_file(partial):
            vectors = _read(path, len(vocabulary))  # of the process that had the lock
            if vectors is None:
                if path.exists():
                    warnings.warn(
                        f"{str(path)!r}, vectors of {len(vocabulary):,} nouns, is "
                        "damaged or of something else: they are computed again.",
                        stacklevel=2,
                    )
                return _compute(path, partial, vocabulary, encode, check)
            partial.unlink(missing_ok=True)
    check(vectors)
    return vectors


def _compute(path, partial, vocabulary, encode, check):
    n = len(vocabulary)
    bar = progress_bar(n, "noun", "Nouns", verbose=0)
    with open(partial, "r+b") as file, bar as progress:
        rows, _ = _read_rows(file, n)
        n_done = 0
        if rows is not None:
            check(rows)
            # What a killed run has written, as far as it is whole.
            sound = [_is_unit(rows[i : i + CHUNK]) for i in range(0, len(rows), CHUNK)]
            n_done = min(len(rows), CHUNK * [*sound, False].index(False))
            vectors = np.empty((n, rows.shape[1]), np.float32)
            vectors[:n_done] = rows[:n_done]
            file.seek(4 * rows.shape[1] * (n_done - len(rows)), os.SEEK_CUR)
        progress.update(n_done)
        for i in range(n_done, n, CHUNK):
            new = _unit_rows(encode(vocabulary[i : i + CHUNK]))
            if rows is None and i == 0:
                check(new)
                vectors = np.empty((n, new.shape[1]), np.float32)
                file.seek(0)
                header = {"descr": "<f4", "fortran_order": False}
                header["shape"] = vectors.shape
                np.lib.format.write_array_header_1_0(file, header)
            vectors[i : i + CHUNK] = new
            file.write(new.astype("<f4").tobytes())
            file.flush()
            progress.update(len(new))
        file.write(_checksum(path, vectors))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    return vectors


def _read(path, n_rows):
    """Return finished vectors; None if there are none, or they are damaged."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        rows, rest = _read_rows(file, n_rows)
    if rows is None or len(rows) < n_rows or not _is_unit(rows):
        return None
    return rows if rest == _checksum(path, rows) else None


def _read_rows(file, n_rows):
    """Return the whole rows of a file of `n_rows`, or None, and what follows."""
    try:
        np.lib.format.read_magic(file)
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception:  # of many types: it depends on what is damaged
        return None, b""
    if len(shape) != 2 or shape[0] != n_rows or in_columns or dtype != "<f4":
        return None, b""
    held = (os.fstat(file.fileno()).st_size - file.tell()) // 4
    if not 0 < shape[1] <= max(held, 1):
        return None, b""
    n_whole = min(n_rows, held // shape[1])
    rows = np.fromfile(file, "<f4", n_whole * shape[1]).reshape(n_whole, shape[1])
    end = file.tell()
    rest = file.read(_CHECKSUM + 1)
    file.seek(end)
    return rows, rest


def _checksum(path, vectors):
    """Return a checksum of the vectors and of what they are of."""
    total = new_hash(f"{path.stem} {vectors.shape}".encode())
    total.update(np.ascontiguousarray(vectors, "<f4").data)
    return total.digest()


@contextmanager
def _locked_file(path):
    """Hold the lock of a file; it is made where it does not exist.

    Raises
    ------
    TimeoutError
        If the process that holds it writes nothing for `STALLED` seconds.
    """
    seen, since = None, time.monotonic()
    while True:
        path.touch()
        try:
            with locked(path, wait=False) as descriptor:
                held, there = os.fstat(descriptor), path.stat()
                if held.st_ino == there.st_ino:  # else it was renamed meanwhile
                    yield
                    return
        except FileNotFoundError:  # renamed just now
            continue
        except BlockingIOError:
            with suppress(FileNotFoundError):
                if seen != (seen := path.stat().st_size):
                    since = time.monotonic()
            if time.monotonic() - since > STALLED:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another process does not go on computing them"
                ) from None
            time.sleep(0.05)


def _is_unit(vectors):
    # NaN and infinity are no unit length.
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return bool((np.abs(lengths - 1) < 1e-3).all())


def _unit_rows(vectors):
    vectors = np.array(vectors, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
