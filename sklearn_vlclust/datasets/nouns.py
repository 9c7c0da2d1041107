"""The noun hierarchy of WordNet as arrays, read straight from its database files.

nltk's reader takes ten seconds and more for all nouns; reading the three files that
nltk reads (format: wndb(5WN), senseidx(5WN)) takes about one.
"""

import re
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from ._wordnet import fetch_wordnet


class NounHierarchy:
    """Names, lemmas, hypernyms and depths of all noun synsets.

    Parameters
    ----------
    folder : path-like
        Holds `data.noun`, `index.noun`, `index.sense`, `noun.exc`, and those of
        verbs and adjectives.

    Attributes
    ----------
    names : list of str
        Name of each synset, as nltk forms it: ``dog.n.01``.
    lemmas : list of list of str
        Words of each synset, underscores as spaces.
    parents : list of list of int
        Hypernyms and instance hypernyms of each synset, as positions.
    depths : ndarray of shape (n_synsets,), int
        Length of the shortest hypernym path to the root `entity`, which has 0.
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        offsets, self.lemmas, parents = [], [], []
        for line in _entries(self._folder / "data.noun"):
            # offset lex_filenum ss_type w_cnt(hex) word lex_id ... p_cnt pointers | ...
            fields = line.partition("|")[0].split()
            n_words = int(fields[3], 16)
            pointers = fields[5 + 2 * n_words :]
            offsets.append(int(fields[0]))
            self.lemmas.append(
                [w.replace("_", " ") for w in fields[4 : 4 + 2 * n_words : 2]]
            )
            parents.append(
                [
                    int(pointers[i + 1])
                    for i in range(0, len(pointers), 4)
                    if pointers[i] in ("@", "@i")
                ]
            )
        self._position = {offset: i for i, offset in enumerate(offsets)}
        self.parents = [[self._position[p] for p in ps] for ps in parents]
        self._senses = {}
        for line in _entries(self._folder / "index.noun"):
            # lemma pos synset_cnt p_cnt pointers... sense_cnt tagsense_cnt offsets...
            fields = line.split()
            self._senses[fields[0]] = [
                self._position[int(offset)] for offset in fields[-int(fields[2]) :]
            ]
        self.names = [self._name(i) for i in range(len(offsets))]
        self.depths = self._measure_depths()
        self._ancestors: dict[int, frozenset[int]] = {}
        self._lemmas_of: dict[str, set[str]] = {}

    def __len__(self):
        return len(self.names)

    def _name(self, i):
        lemma = self.lemmas[i][0].replace(" ", "_").lower()
        return f"{lemma}.n.{self._senses[lemma].index(i) + 1:02d}"

    def _measure_depths(self):
        children: list[list[int]] = [[] for _ in self.parents]
        for i, parents in enumerate(self.parents):
            for parent in parents:
                children[parent].append(i)
        depths = np.full(len(self.parents), -1)
        level, depth = [i for i, ps in enumerate(self.parents) if not ps], 0
        while level:
            depths[level] = depth
            below = {child for i in level for child in children[i]}
            level, depth = [i for i in below if depths[i] < 0], depth + 1
        return depths

    def position(self, synset):
        """Return the position of a synset given by name or id.

        Raises
        ------
        ValueError
            If WordNet has no such noun synset.
        """
        if wnid := re.fullmatch(r"n(\d{8})", synset):
            position = self._position.get(int(wnid[1]))
        else:
            lemma, _, sense = synset.rpartition(".n.")
            senses = self._senses.get(lemma.lower(), [])
            number = int(sense) if sense.isdecimal() else 0
            position = senses[number - 1] if 1 <= number <= len(senses) else None
        if position is None:
            raise ValueError(
                f"Unknown synset {synset!r}: WordNet 3.0 has no such noun. Synsets are "
                "given by name ('dog.n.01'), by id ('n02084071'), or as None."
            )
        return position

    def senses(self, word):
        """Return the positions of the synsets of a word, the most frequent first.

        Those of its singulars follow: morphy(7WN), as in nltk.
        """
        word = word.lower().replace(" ", "_")
        found = (self._senses.get(form, ()) for form in (word, *self._singulars(word)))
        return list(dict.fromkeys(chain.from_iterable(found)))

    def _singulars(self, word):
        """Return what may be the singulars of a word, known or not."""
        return self._irregular.get(word) or [
            word.removesuffix(plural) + singular
            for plural, singular in _PLURALS
            if word.endswith(plural)
        ]

    def knows(self, word):
        """Whether a word is a noun, in its singular."""
        return word.lower().replace(" ", "_") in self._senses

    def singular(self, word):
        """Return the singular of a plural that is no noun of its own, else None.

        *Dogs* is a plural, *glasses*, which are worn, and *gas* are not.
        """
        form = word.lower().replace(" ", "_")
        if form in self._senses:
            return None
        found = next(filter(self._senses.get, self._singulars(form)), None)
        return found and found.replace("_", " ")

    def is_plural(self, word):
        """Whether a word is a plural, and not more often a noun of its own."""
        form = word.lower().replace(" ", "_")
        uses = max(map(self._uses, self._singulars(form)), default=-1)
        return uses > self._uses(form)

    def _uses(self, form):
        """Return the count of a noun's most frequent sense; -1 of what is no noun."""
        word = form.replace("_", " ")
        counts = (self._counts[i].get(word, 0) for i in self._senses.get(form, ()))
        return max(counts, default=-1)

    def is_adjective(self, word):
        """Whether a word is an adjective or a participle, and no noun."""
        word = word.lower().replace(" ", "_")
        if self.senses(word):
            return False
        if word.rpartition("-")[2] in self._lemmas("adj"):
            return True
        stems = {word[:-1], word[:-2], word[:-3]}  # juggled, smeared, zigzagged
        return word.endswith("ed") and not stems.isdisjoint(self._lemmas("verb"))

    def _lemmas(self, pos):
        if pos not in self._lemmas_of:
            lines = _entries(self._folder / f"index.{pos}")
            self._lemmas_of[pos] = {line.split()[0] for line in lines}
        return self._lemmas_of[pos]

    @cached_property
    def _irregular(self):
        lines = (line.split() for line in _entries(self._folder / "noun.exc"))
        return {word: lemmas for word, *lemmas in lines}

    def frequency(self, position, word):
        """Return how often WordNet's tagged texts use a word for a synset.

        For a word that is none of the synset's, the most frequent of these counts.
        """
        counts = self._counts[position]
        return counts.get(word.lower().replace("_", " "), max(counts.values()))

    @cached_property
    def _counts(self):
        counts = [dict.fromkeys(map(str.lower, words), 0) for words in self.lemmas]
        for position, key, _, count in self._tagged():
            word = key.partition("%")[0].replace("_", " ")
            counts[position][word] = max(count, counts[position].get(word, 0))
        return counts

    def ancestors(self, position):
        """Return the positions on all hypernym paths of a synset, itself included."""
        if position not in self._ancestors:
            above = (self.ancestors(parent) for parent in self.parents[position])
            self._ancestors[position] = frozenset([position]).union(*above)
        return self._ancestors[position]

    @cached_property
    def distinct_nouns(self):
        """One noun for each synset, all different.

        A synset takes its first word that no more frequent one has taken, else a word
        with its hypernym in brackets: ``crane (wading bird)``.
        """
        nouns: list[str] = [""] * len(self)
        taken: set[str] = set()
        for i in self._by_frequency():
            nouns[i] = next(noun for noun in self._candidates(i) if noun not in taken)
            taken.add(nouns[i])
        return nouns

    def with_sense(self, word, synset):
        """Return a word with the hypernym of its synset in brackets."""
        above = self.parents[self.position(synset)]
        return f"{word} ({self.lemmas[above[0]][0]})" if above else word

    def _candidates(self, i):
        words = self.lemmas[i]
        yield from words
        brackets = [self.lemmas[parent][0] for parent in self.parents[i]]
        yield from (f"{word} ({above})" for above in brackets for word in words)
        # Twins under one hypernym: add the level above.
        upper = [
            self.lemmas[grand][0]
            for parent in self.parents[i]
            for grand in self.parents[parent]
        ]
        yield from (
            f"{word} ({above}, {higher})"
            for above in brackets
            for higher in upper
            for word in words
        )
        # Nothing but its definition tells this synset from its twin.
        yield f"{words[0]} ({self._definitions[i]})"

    @cached_property
    def _definitions(self):
        return [
            re.split(r'; "|;$', line.partition("|")[2].strip())[0]
            for line in _entries(self._folder / "data.noun")
        ]

    def _by_frequency(self):
        """Order synsets by tagged use in WordNet's texts, then by sense number."""
        counts = np.zeros(len(self), dtype=int)
        rank = np.full(len(self), 999)
        for position, _, number, count in self._tagged():
            counts[position] += count
            rank[position] = min(rank[position], number)
        return np.lexsort((rank, -counts))

    def _tagged(self):
        """Yield position, key, number and count of uses of each sense of a noun."""
        for line in _entries(self._folder / "index.sense"):
            key, offset, number, count = line.split()
            if "%1:" in key:  # nouns
                yield self._position[int(offset)], key, int(number), int(count)


# Endings of plurals, and what takes their place: morphy(7WN).
_PLURALS = [
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
]


def _entries(path):
    """Yield the lines of a database file after its license, which is indented."""
    with open(path, encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith(" "))


def noun_hierarchy():
    """Return the hierarchy of the WordNet that `datasets.fetch_wordnet` finds."""
    return _read(Path(fetch_wordnet()))


def installed_hierarchy():
    """Return the hierarchy of a WordNet on this machine; None if there is none."""
    try:
        return _read(Path(fetch_wordnet(download=False)))
    except LookupError:
        return None


@lru_cache(maxsize=2)
def _read(folder):
    return NounHierarchy(folder)
