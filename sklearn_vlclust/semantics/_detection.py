"""Names as detectors: the nouns that tell clusters from each other."""

from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from ..datasets.nouns import noun_hierarchy
from ._commonness import commonness

# Votes per image below which a noun tells nothing of a cluster.
LEAST_VOTES = 1e-4
# Share of the commonness of a word in the score of a noun, as an exponent: of nouns
# that detect about equally well, the word that people use wins.
COMMONNESS = 1 / 8
# A noun names two clusters only where all others are this much worse.
REPEAT = 5
# Nouns per cluster that are candidates of the joint choice.
CANDIDATES = 20
# What WordNet places above these is its scaffold, not what a person would say:
# instrumentality, commodity, chordate, self-propelled vehicle.
BASIC = [
    "animal.n.01",
    "bird.n.01",
    "mammal.n.01",
    "fish.n.01",
    "insect.n.01",
    "dog.n.01",
    "cat.n.01",
    "person.n.01",
    "plant.n.02",
    "tree.n.01",
    "flower.n.01",
    "food.n.01",
    "food.n.02",
    "fruit.n.01",
    "vegetable.n.01",
    "clothing.n.01",
    "furniture.n.01",
    "lamp.n.01",
    "vehicle.n.01",
    "car.n.01",
    "airplane.n.01",
    "boat.n.01",
    "building.n.01",
    "computer.n.01",
    "tool.n.01",
    "weapon.n.01",
    "gun.n.01",
    "musical_instrument.n.01",
    "clock.n.01",
    "bottle.n.01",
    "box.n.01",
    "ball.n.01",
    "toy.n.01",
    "book.n.01",
    "mountain.n.01",
]
# Factor of the score of such a noun: it names only what nothing else names.
SCAFFOLD = 1e-6


def detect(votes, vocabulary, synsets):
    """Return nouns, scores and mean votes of each cluster, the best detectors first.

    Precision of a noun is the share of its votes that a cluster has, every cluster
    being as large as any other; recall is its mean vote per image there. Votes for what
    WordNet places below a noun are votes for it. The score is their F-measure, times a
    power of the word's commonness in this sense.

    Parameters
    ----------
    votes : csr_array of shape (n_clusters, n_nouns)
        Mean votes per image.
    vocabulary : Vocabulary
        The nouns.
    synsets : list of str or None, length n_nouns
        Their synsets, as `join_synonyms` returns them.

    Returns
    -------
    nouns : ndarray of shape (n_candidates,), int
        Positions in the vocabulary.
    scores, mean_votes : ndarray of shape (n_clusters, n_candidates)
    """
    nouns, below = _subtrees(votes, synsets)
    mean_votes = (votes @ below).toarray()
    totals = mean_votes.sum(axis=0)
    precision = mean_votes / np.where(totals > 0, totals, 1)
    both = precision + mean_votes
    scores = 2 * precision * mean_votes / np.where(both > 0, both, 1)
    prior = [_prior(vocabulary.nouns[i], synsets[i]) for i in nouns]
    return nouns, scores * np.array(prior), mean_votes


def assign(scores):
    """Return the candidate that names each cluster, chosen for all of them together.

    Names differ, but where a cluster has no other noun nearly as good as one that is
    taken: it then takes its best.
    """
    k = len(scores)
    logs = np.log(scores + 1e-12)
    best = logs.argmax(axis=1)
    size = min(CANDIDATES, logs.shape[1])
    kept = np.unique(np.argpartition(-logs, size - 1, axis=1)[:, :size])
    repeated = np.full((k, k), 2 * np.log(1e-12) - np.log(REPEAT))
    np.fill_diagonal(repeated, logs[np.arange(k), best] - np.log(REPEAT))
    _, column = linear_sum_assignment(
        np.hstack([logs[:, kept], repeated]), maximize=True
    )
    return np.where(column < len(kept), kept[np.minimum(column, len(kept) - 1)], best)


def _subtrees(votes, synsets):
    """Return candidate nouns and which nouns' votes each has, (n_nouns, n_candidates).

    Candidates are the nouns with votes, and those above them.
    """
    voted = np.unique(votes.indices[votes.data >= LEAST_VOTES])
    if not len(voted):  # of very many nouns, none stands out
        voted = np.unique(votes.indices)
    if all(synset is None for synset in synsets):
        shape = (votes.shape[1], len(voted))
        ones = np.ones(len(voted))
        return voted, csr_array((ones, (voted, np.arange(len(voted)))), shape)
    hierarchy = noun_hierarchy()
    # A synset's noun is the one with the votes for its synonyms.
    noun_of: dict[int, int] = {}
    for i in np.argsort(-votes.sum(axis=0), kind="stable"):
        if synsets[i] is not None:
            noun_of.setdefault(hierarchy.position(synsets[i]), i)
    nouns: dict[int, int] = {}
    rows, columns = [], []
    for i in voted:
        above = [i]
        if synsets[i] is not None:
            places = hierarchy.ancestors(hierarchy.position(synsets[i]))
            above = [noun_of[place] for place in sorted(places) if place in noun_of]
        rows += [i] * len(above)
        columns += [nouns.setdefault(noun, len(nouns)) for noun in above]
    shape = (votes.shape[1], len(nouns))
    return np.array(list(nouns)), csr_array(
        (np.ones(len(rows)), (rows, columns)), shape
    )


def _prior(noun, synset):
    """Return the factor of a noun's score for how usual it is as a name."""
    common = commonness(noun)
    if synset is None:
        return common**COMMONNESS
    hierarchy = noun_hierarchy()
    place = hierarchy.position(synset)
    scaffold = SCAFFOLD if place in _scaffold(hierarchy) else 1.0
    # How much of the use of the word is in this sense.
    word = noun.partition("(")[0].partition(",")[0].strip()
    uses = [1 + hierarchy.frequency(sense, word) for sense in hierarchy.senses(word)]
    share = (1 + hierarchy.frequency(place, word)) / sum(uses) if uses else 1.0
    return scaffold * (common * min(1.0, share)) ** COMMONNESS


@lru_cache(1)
def _scaffold(hierarchy):
    """Return the positions of the synsets above those of `BASIC`."""
    basic = {hierarchy.position(synset) for synset in BASIC}
    return frozenset().union(*map(hierarchy.ancestors, basic)) - basic
