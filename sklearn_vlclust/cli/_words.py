"""The nouns that name the clusters."""

import hashlib
from contextlib import contextmanager, suppress
from pathlib import Path

from .._backend._progress import report_progress
from ._errors import USAGE, CommandError

# Values of ``--words`` that are not a file, and what the estimators take for them.
_KEYWORDS = {"wordnet": "wordnet", "none": None}


def describe_words(words):
    """Return a text that identifies the words: a later run compares it with its own.

    Raises
    ------
    CommandError
        If `words` is a file that cannot be read.
    """
    if words in _KEYWORDS:
        return words
    with _usage_errors(words):
        digest = hashlib.blake2b(Path(words).read_bytes(), digest_size=8)
    return f"{Path(words).absolute()} ({digest.hexdigest()})"


def load_words(words):
    """Return what the estimators take: "wordnet", a Vocabulary, or None.

    Raises
    ------
    CommandError
        If `words` is a file that cannot be read or understood, or has no words.
    """
    if words in _KEYWORDS:
        return _KEYWORDS[words]
    from ..semantics import Vocabulary

    with _usage_errors(words):
        return Vocabulary.from_file(words)


def find_wordnet(terminal):
    """Return whether WordNet is on this machine; download it where it is not."""
    from ..datasets import fetch_wordnet

    with suppress(LookupError):
        fetch_wordnet(download=False)
        return True
    try:
        with terminal.stage("Downloading WordNet 3.0 (once, 11 MB)"):
            fetch_wordnet(debian=True)
    except LookupError as error:
        terminal.warn(f"The clusters get no names. {error}")
        return False
    return True


def encode_nouns(words, embedder, terminal):
    """Compute the vectors of WordNet's nouns, with a progress bar, and keep them.

    Estimators read them from the data folder.
    """
    if words != "wordnet":
        return
    from ..semantics import SemanticSpace
    from ..semantics._encoding import read_vocabulary, vocabulary_embeddings

    prompt = SemanticSpace().prompt  # ClusterCaptioner has the same one
    with (
        terminal.stage("Encoding the nouns of WordNet (once)") as advance,
        report_progress(advance),
    ):
        vocabulary_embeddings(read_vocabulary("wordnet", prompt), embedder, prompt)


@contextmanager
def _usage_errors(words):
    """Turn errors of a file of words into those of the command line."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"--words {words!r} cannot be read ({error.strerror}); expected wordnet, "
            "none, or a file with one noun per line or a .csv table.",
            USAGE,
        ) from error
    except ValueError as error:
        raise CommandError(f"--words {error}", USAGE) from error
