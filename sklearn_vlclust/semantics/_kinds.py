"""Votes for synonyms and hyponyms."""

import re

import numpy as np
from scipy.sparse import csr_array

from ..datasets.nouns import noun_hierarchy


def join_synonyms(votes, vocabulary):
    """Add the votes for synonyms at the one with the most votes.

    Votes are (n_clusters, n_nouns). Synonyms share a synset, or have none and differ
    only in case, as lists spell the same noun differently. A noun without a synset gets
    the one that all nouns of its name have. Returns the votes and the synset of each
    noun.
    """
    synsets = list(vocabulary.synsets)
    of_name = _synsets_of_names(vocabulary) if None in synsets else {}
    place, of_meaning = np.arange(len(synsets)), dict[tuple, int]()
    for i in np.argsort(-votes.sum(axis=0), kind="stable"):
        name = vocabulary.nouns[i].casefold()
        found = of_name.get(name, ())
        if synsets[i] is None and len(found) == 1:
            (synsets[i],) = found
        meaning = (synsets[i],) if synsets[i] is not None else (None, name)
        place[i] = of_meaning.setdefault(meaning, i)
    parts = votes.data, place[votes.indices], votes.indptr
    joined = csr_array(parts, votes.shape, copy=True)
    joined.sum_duplicates()
    return joined, synsets


def _synsets_of_names(vocabulary):
    """Return the synsets of each name: between commas, without case and brackets."""
    found: dict[str, set[str]] = {}
    for noun, synset in zip(vocabulary.nouns, vocabulary.synsets):
        if synset is not None:
            for name in re.sub(r"\(.*?\)", "", noun).casefold().split(","):
                found.setdefault(name.strip(), set()).add(synset)
    return found


def generalize(best, synsets, generality):
    """Put the noun that names a cluster first, if it is a more general one.

    `best` has nouns and votes of each cluster, the largest first. A more general noun
    needs the share `generality` of the votes of the first; put first, it has the votes
    for its hyponyms, too.
    """
    if all(synset is None for synset in synsets):
        return best
    hierarchy = noun_hierarchy()

    def above(noun):
        """Return the noun's synset and those above it."""
        if synsets[noun] is None:
            return frozenset()
        return hierarchy.ancestors(hierarchy.position(synsets[noun]))

    first = {index[0]: above(index[0]) for index, _ in best}
    named = []
    for index, votes in best:
        own = synsets[index[0]]
        for i in np.flatnonzero(votes >= generality * votes[0]):
            if synsets[index[i]] in (None, own):
                continue
            place = hierarchy.position(synsets[index[i]])
            # A noun with other clusters' nouns below it would not distinguish the
            # cluster.
            if place in first[index[0]] and not any(
                place in path for noun, path in first.items() if synsets[noun] != own
            ):
                kinds = [place in above(noun) for noun in index]
                index = np.r_[index[i], np.delete(index, i)]
                votes = np.r_[votes[kinds].sum(), np.delete(votes, i)]
                break
        named.append((index, votes))
    return named
