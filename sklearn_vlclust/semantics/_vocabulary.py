"""Nouns, with their vectors and their places in WordNet."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .._backend._text import counted
from .._typing import Strings, StrPath
from ..datasets.nouns import installed_hierarchy, noun_hierarchy
from ._phrases import normalize, spelling_key
from ._word_files import COLUMNS, read_entries


class Vocabulary:
    """Nouns that may describe images.

    Phrases ("a man playing a guitar") and adjectives of textures ("striped") may be
    among them, in any language that the text encoder reads. Unicode is composed (NFC),
    and underscores become spaces. Equal nouns are merged (upper and lower case are not
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
    synonyms : sequence of sequences of str, default=None
        Other words for each noun, which are never shown: an encoder's vector of the
        noun is the mean of those of all its words.

    Attributes
    ----------
    nouns : ndarray of shape (n_nouns,), object
        The nouns, all different, in the order given.
    embeddings : ndarray of shape (n_nouns, n_features), float32, or None
        Rows of unit length.
    synsets : ndarray of shape (n_nouns,), object
        WordNet names, or None where unknown.
    synonyms : dict of str to tuple of str
        Other words of the nouns that have any.

    Raises
    ------
    TypeError
        If a noun or a synonym is not a string.
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

    # Without synonyms, a vocabulary has the state (and the hash) of version 0.1.
    synonyms: dict[str, tuple[str, ...]] = {}

    def __init__(
        self,
        nouns: Strings,
        embeddings: ArrayLike | None = None,
        synsets: Sequence[str | None] | np.ndarray | None = None,
        *,
        synonyms: Sequence[Strings] | None = None,
    ) -> None:
        nouns = _check_nouns(nouns)
        if found := _check_synonyms(synonyms, nouns):
            self.synonyms = found
        synsets = _check_synsets(synsets, len(nouns))
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

    @classmethod
    def from_file(cls, path: StrPath, *, encoding: str = "utf-8") -> Self:
        """Return the nouns of a file.

        A `.csv` or `.tsv` file has a noun per row, with its synonyms: in a column
        `synonyms`, separated by commas, semicolons or bars, if the first row names the
        column `noun`, and else in all further cells. A column `synset` (or, without
        column names, a cell ``dog.n.01`` or ``n02084071``) has the synset. Every other
        file has one noun per line, commas included. Blank lines and lines that start
        with ``#`` are left out.

        Lines that repeat a noun, but for case, Unicode form or plural, count as one
        noun, named as in the first of them, unless their synsets differ.

        Parameters
        ----------
        path : str or Path
            The file. Byte-order marks are understood.
        encoding : str, default="utf-8"
            Its encoding.

        Returns
        -------
        vocabulary : Vocabulary
            Without embeddings.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it has no nouns, is not text in its encoding, or has a line that cannot
            be understood. The message names the file and the line.

        Warns
        -----
        UserWarning
            If lines repeat a noun, columns mean nothing here, or synsets are unknown.

        Examples
        --------
        >>> Vocabulary.from_file("pets.csv")  # doctest: +SKIP
        Vocabulary(2 nouns: 'cat', 'dog'; 3 synonyms)
        """
        entries, others = read_entries(path, encoding)
        if others:
            warnings.warn(
                f"{str(path)!r}: the columns {', '.join(map(repr, others))} are not "
                f"used; expected {', '.join(COLUMNS)}.",
                UserWarning,
                stacklevel=2,
            )
        places = [f"line {entry.line}" for entry in entries]
        synsets = _check_synsets(
            [entry.synset for entry in entries],
            len(entries),
            f"{str(path)!r}: ",
            places,
        )
        for entry, synset in zip(entries, synsets):
            entry.synset = synset
        entries, repeated = _merge_entries(entries)
        if repeated:
            warnings.warn(
                f"{str(path)!r}: {len(repeated)} words repeat a noun and count as that "
                f"one: {', '.join(repeated[:5])}{', ...' * (len(repeated) > 5)}.",
                UserWarning,
                stacklevel=2,
            )
        return cls(
            [entry.noun for entry in entries],
            synsets=[entry.synset for entry in entries],
            synonyms=[entry.synonyms for entry in entries],
        )

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
        if self.synonyms:
            kept = (noun for noun in part.nouns if noun in self.synonyms)
            part.synonyms = {noun: self.synonyms[noun] for noun in kept}
        return part

    def __eq__(self, other):
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (
            np.array_equal(self.nouns, other.nouns)
            and np.array_equal(self.synsets, other.synsets)
            and self.synonyms == other.synonyms
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
        if n_synonyms := sum(map(len, self.synonyms.values())):
            facts.append(counted(n_synonyms, "synonym"))
        return f"Vocabulary({'; '.join(facts)})"


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
        if not normalize(noun):
            raise ValueError(f"nouns[{i}] is empty: {noun!r}.")
    return [normalize(noun) for noun in nouns]


def _check_synonyms(synonyms, nouns):
    found: dict[str, tuple[str, ...]] = {}
    if synonyms is None:
        return found
    synonyms = list(synonyms)
    _check_length("synonyms", len(synonyms), len(nouns))
    for i, (noun, words) in enumerate(zip(nouns, synonyms)):
        if isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise TypeError(
                f"synonyms must be sequences of strings, but synonyms[{i}] is "
                f"{words!r}."
            )
        words = [*found.get(noun, ()), *map(normalize, words)]
        words = [word for word in dict.fromkeys(words) if word and word != noun]
        if words:
            found[noun] = tuple(words)
    return found


def _merge_entries(entries):
    """Merge entries of a file that spell the same noun.

    Returns the entries that are left, and texts on what was merged.
    """
    hierarchy = installed_hierarchy()

    def key(word):
        word = spelling_key(word)
        return (hierarchy and hierarchy.singular(word)) or word

    found: dict[str, list] = {}
    kept, repeated = [], []
    for entry in entries:
        same = found.setdefault(key(entry.noun), [])
        for first in same:
            if None in (first.synset, entry.synset) or first.synset == entry.synset:
                first.synset = first.synset or entry.synset
                first.synonyms += entry.synonyms
                repeated.append(_told(entry.noun, entry, first))
                break
        else:
            same.append(entry)
            kept.append(entry)
    for entry in kept:
        for word in list(entry.synonyms):
            others = [other for other in found.get(key(word), ()) if other is not entry]
            if others:  # a noun of its own
                entry.synonyms.remove(word)
                repeated.append(_told(word, entry, others[0]))
    _tell_senses_apart(kept, hierarchy)
    return kept, repeated


def _told(word, entry, first):
    return f"{word!r} in line {entry.line} ({first.noun!r} in line {first.line})"


def _tell_senses_apart(entries, hierarchy):
    """Put the sense of nouns in brackets that are equal but for their synsets."""
    counts = Counter(entry.noun for entry in entries)
    for entry in entries:
        if counts[entry.noun] > 1 and entry.synset is not None:
            entry.noun = hierarchy.with_sense(entry.noun, entry.synset)


def _check_synsets(synsets, n_nouns, file="", places=None):
    """Return the names of synsets; `places` say where those of a file are."""
    if synsets is None:
        return [None] * n_nouns
    synsets = list(synsets)
    _check_length("synsets", len(synsets), n_nouns)
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
            unknown.append(repr(synset) + (f" in {places[i]}" if places else ""))
    if unknown:
        # Lists in use have some: LVIS made up its "stop_sign.n.01".
        warnings.warn(
            f"{file}{len(unknown)} of {counted(len(synsets), 'synset')} taken as "
            "unknown, as WordNet 3.0 has no such nouns: "
            f"{', '.join(map(repr, unknown[:5]))}"
            f"{', ...' * (len(unknown) > 5)}. Synsets are given by name ('dog.n.01'), "
            "by id ('n02084071'), or as None.",
            UserWarning,
            stacklevel=3,
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
