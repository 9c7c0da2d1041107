"""Nouns, with their vectors and their places in WordNet."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .._backend._text import counted
from .._typing import Strings
from ..datasets.nouns import noun_hierarchy


class Vocabulary:
    """Nouns that may describe images.

    Underscores become spaces. Equal nouns are merged (upper and lower case are not
    equal: `Turkey` is a country): their vectors are averaged, and the first known
    synset is kept.

    Parameters
    ----------
    nouns : sequence of str
        The nouns.
    embeddings : array-like of shape (n_nouns, n_features), default=None
        Their vectors, from the text encoder that belongs to the image encoder. None
        leaves it to an embedder to make them.
    synsets : sequence of str or None, default=None
        Noun synset of each noun, as WordNet name (``dog.n.01``) or id
        (``n02084071``); None where unknown.

    Attributes
    ----------
    nouns : ndarray of shape (n_nouns,), object
        The nouns, all different, in the order given.
    embeddings : ndarray of shape (n_nouns, n_features), float32, or None
        Rows of unit length.
    synsets : ndarray of shape (n_nouns,), object
        WordNet names, or None where unknown.

    Raises
    ------
    TypeError
        If a noun is not a string.
    ValueError
        If there are no nouns, lengths differ, or a vector is zero or not finite.

    Warns
    -----
    UserWarning
        If WordNet does not know a synset, which is then taken as unknown.

    See Also
    --------
    SemanticSpace : Selects the nouns that describe a set of images.

    Examples
    --------
    >>> from sklearn_vlclust import Vocabulary
    >>> vocabulary = Vocabulary(["dog", "hot_dog", "dog"], [[1, 0], [0, 2], [0, 1]])
    >>> vocabulary
    Vocabulary(2 nouns: 'dog', 'hot dog'; 2-d embeddings)
    >>> vocabulary.embeddings
    array([[0.70710677, 0.70710677],
           [0.        , 1.        ]], dtype=float32)
    """

    def __init__(
        self,
        nouns: Strings,
        embeddings: ArrayLike | None = None,
        synsets: Sequence[str | None] | np.ndarray | None = None,
    ) -> None:
        nouns = _check_nouns(nouns)
        synsets = _check_synsets(synsets, nouns)
        embeddings = _check_embeddings(embeddings, nouns)
        first: dict[str, int] = {}
        row = np.array([first.setdefault(noun, len(first)) for noun in nouns])
        self.nouns = _object_array(list(first))
        self.synsets = _object_array([None] * len(first))
        for i, synset in zip(row, synsets):
            if self.synsets[i] is None:
                self.synsets[i] = synset
        self.embeddings = embeddings
        if embeddings is not None and len(first) < len(nouns):
            self.embeddings = _merge_rows(embeddings, row, nouns)

    @classmethod
    def from_wordnet(cls) -> Self:
        """Return all 82,115 noun synsets of WordNet 3.0, one noun each.

        A synset is named by its first word that no more frequent synset has taken. One
        whose words are all taken gets its hypernym in brackets: ``crane (wading
        bird)``, as ``crane`` is the lifting device.

        Returns
        -------
        vocabulary : Vocabulary
            Without embeddings.

        Raises
        ------
        LookupError
            If there is no WordNet; the message says how to get it.
        """
        hierarchy = noun_hierarchy()
        vocabulary = cls.__new__(cls)  # nothing to check or merge
        vocabulary.nouns = _object_array(hierarchy.distinct_nouns)
        vocabulary.synsets = _object_array(hierarchy.names)
        vocabulary.embeddings = None
        return vocabulary

    def __len__(self) -> int:
        return len(self.nouns)

    def __iter__(self):
        return iter(self.nouns)

    def __getitem__(self, index):
        """Return a noun, or for a slice, mask or index array the part vocabulary."""
        if isinstance(index, int | np.integer):
            return self.nouns[index]
        part = object.__new__(type(self))
        part.nouns, part.synsets = self.nouns[index], self.synsets[index]
        part.embeddings = None if self.embeddings is None else self.embeddings[index]
        return part

    def __eq__(self, other):
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (
            np.array_equal(self.nouns, other.nouns)
            and np.array_equal(self.synsets, other.synsets)
            and (self.embeddings is None) == (other.embeddings is None)
            and (
                self.embeddings is None
                or np.array_equal(self.embeddings, other.embeddings)
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        shown = ", ".join(map(repr, self.nouns[:3])) + ", ..." * (len(self) > 3)
        facts = [f"{counted(len(self), 'noun')}: {shown}"]
        if self.embeddings is not None:
            facts.append(f"{self.embeddings.shape[1]}-d embeddings")
        if n_known := sum(synset is not None for synset in self.synsets):
            facts.append(counted(n_known, "synset"))
        return f"Vocabulary({'; '.join(facts)})"


def format_prompt(prompt, noun):
    """Put a noun into a prompt, with the article that its first sound asks for.

    The noun goes where ``{}`` is; an `a` or `an` before it is adapted.
    """
    before, _, after = prompt.partition("{}")
    if article := re.search(r"\b(a|an|A|An)( +)$", before):
        word = article[1][0] + "n" * _starts_with_vowel_sound(noun)
        before = before[: article.start()] + word + article[2]
    return before + noun + after


_SILENT_H = re.compile(r"(hour|heir|honest|honou?r)", re.IGNORECASE)
# "you" and "w" sounds: unicorn, useful, eucalyptus, ewe, one, ouija.
_CONSONANT_SOUND = re.compile(
    r"(uni([^nm]|$)|us[aeu]|ut[aeio]|uran|urin|ubiq|eu|ewe|on(e|ce)\b|ouija)",
    re.IGNORECASE,
)
_SPELLED = re.compile(r"[A-Z](\b|[A-Z])")  # X-ray, FBI agent


def _starts_with_vowel_sound(noun):
    if _SPELLED.match(noun):
        return noun[0] in "AEFHILMNORSX"
    if _SILENT_H.match(noun):
        return True
    return noun[:1].lower() in set("aeiou") and not _CONSONANT_SOUND.match(noun)


def _object_array(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _check_nouns(nouns):
    if isinstance(nouns, str):
        raise TypeError(f"nouns must be a sequence of strings, not {nouns!r}.")
    nouns = list(nouns)
    if not nouns:
        raise ValueError("nouns is empty: a vocabulary needs at least one noun.")
    for i, noun in enumerate(nouns):
        if not isinstance(noun, str):
            raise TypeError(
                f"nouns must be strings, but nouns[{i}] is {noun!r} "
                f"({type(noun).__name__})."
            )
        if not noun.strip(" _"):
            raise ValueError(f"nouns[{i}] is empty: {noun!r}.")
    return [str(noun).replace("_", " ").strip() for noun in nouns]


def _check_synsets(synsets, nouns):
    if synsets is None:
        return [None] * len(nouns)
    synsets = list(synsets)
    _check_length("synsets", len(synsets), len(nouns))
    if all(synset is None for synset in synsets):
        return synsets
    for i, synset in enumerate(synsets):
        if not isinstance(synset, str | None):
            raise TypeError(
                f"synsets must be strings or None, but synsets[{i}] is {synset!r} "
                f"({type(synset).__name__})."
            )
    hierarchy = noun_hierarchy()
    names: list[str | None] = [None] * len(synsets)
    unknown = []
    for i, synset in enumerate(synsets):
        if synset is None:
            continue
        try:
            names[i] = hierarchy.names[hierarchy.position(synset)]
        except ValueError:
            unknown.append(synset)
    if unknown:
        # Lists in use have some: LVIS made up its "stop_sign.n.01".
        warnings.warn(
            f"{len(unknown)} of {counted(len(synsets), 'synset')} taken as unknown, as "
            f"WordNet 3.0 has no such nouns: {', '.join(map(repr, unknown[:5]))}"
            f"{', ...' * (len(unknown) > 5)}. Synsets are given by name ('dog.n.01'), "
            "by id ('n02084071'), or as None.",
            UserWarning,
            stacklevel=4,
        )
    return names


def _check_embeddings(embeddings, nouns):
    if embeddings is None:
        return None
    embeddings = np.array(embeddings, dtype=np.float32)
    if embeddings.ndim != 2:
        raise ValueError(
            f"embeddings must have shape (n_nouns, n_features), got {embeddings.shape}."
        )
    _check_length("embeddings", len(embeddings), len(nouns))
    return _unit(embeddings, nouns)


def _check_length(name, length, n_nouns):
    if length != n_nouns:
        raise ValueError(
            f"{name} has {counted(length, 'entry')} for {counted(n_nouns, 'noun')}."
        )


def _unit(embeddings, nouns):
    norms = np.sqrt(np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64))
    for i in np.flatnonzero(~np.isfinite(norms) | (norms == 0))[:1]:
        what = "all zeros" if norms[i] == 0 else "not finite"
        raise ValueError(f"embeddings[{i}], the vector of {nouns[i]!r}, is {what}.")
    embeddings /= norms[:, None]
    return embeddings


def _merge_rows(embeddings, row, nouns):
    merged = np.zeros((row.max() + 1, embeddings.shape[1]))
    np.add.at(merged, row, embeddings)
    last = {int(r): noun for r, noun in zip(row, nouns)}
    return _unit(merged.astype(np.float32), last)
