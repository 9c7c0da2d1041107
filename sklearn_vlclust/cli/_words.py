"""The nouns that clusters are named by."""

import hashlib
from pathlib import Path

from ._errors import USAGE, CommandError


def describe_words(words):
    """Return a text that says which words are meant, for comparison with a later run.

    Parameters
    ----------
    words : str
        "wordnet", "none", or a file.

    Raises
    ------
    CommandError
        If there is no such file.
    """
    if words in ("wordnet", "none"):
        return words
    digest = hashlib.blake2b(_read(words).encode(), digest_size=8)
    return f"{Path(words).absolute()} ({digest.hexdigest()})"


def load_words(words):
    """Return what the estimators take: "wordnet", a Vocabulary, or None.

    Raises
    ------
    CommandError
        If the file of words cannot be read or has none.
    """
    if words in ("wordnet", "none"):
        return None if words == "none" else words
    from ..semantics import Vocabulary

    nouns = [line.strip() for line in _read(words).splitlines() if line.strip(" \t_")]
    if not nouns:
        raise CommandError(f"--words {words!r} holds no words: one per line.", USAGE)
    return Vocabulary(nouns)


def encode_nouns(words, embedder, terminal):
    """Compute the vectors of WordNet's nouns, with a bar, where they are not on disk.

    The estimators read them from there.
    """
    if words != "wordnet":
        return
    from ..semantics import SemanticSpace
    from ..semantics._encoding import read_vocabulary, vocabulary_embeddings

    prompt = SemanticSpace().prompt  # that of ClusterCaptioner is the same
    with terminal.stage("Nouns of WordNet (computed once)") as advance:
        vocabulary = read_vocabulary("wordnet", prompt)
        counted = _Counted(embedder, lambda done: advance(done, total=len(vocabulary)))
        vocabulary_embeddings(vocabulary, counted, prompt)


class _Counted:
    """An encoder that tells how many nouns it has encoded."""

    def __init__(self, encoder, advance):
        self._encoder, self._advance, self._done = encoder, advance, 0

    def __getattr__(self, name):
        method = getattr(self._encoder, name)
        if name not in ("encode_nouns", "encode_texts"):
            return method

        def encode(texts, *args, **kwargs):
            rows = method(texts, *args, **kwargs)
            self._done += len(texts)
            self._advance(self._done)
            return rows

        return encode


def _read(file):
    try:
        return Path(file).read_text("utf-8")
    except OSError as error:
        raise CommandError(
            f"--words {file!r} cannot be read ({error.strerror}); expected wordnet, "
            "none, or a file with one noun a line.",
            USAGE,
        ) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"--words {file!r} is not text in UTF-8.", USAGE) from error
