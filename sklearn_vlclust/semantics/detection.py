"""Names as detectors: the nouns that tell clusters from each other."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from ..data.rows import unit
from ..datasets.nouns import noun_hierarchy
from ._points import Points
from ._shown import shown_names
from .levels import COMMONNESS, usualness

# Images that name a cluster: more change nothing.
IMAGES = 100
# Rounds of expectation maximization. The first is the mean of the images' votes; five
# move what the encoder confuses, and keep what a mixed cluster holds.
ROUNDS = 5
# Shares of a cluster below which a thing tells nothing of it.
LEAST_SHARE = 1e-3
# Votes below which no image shows a thing: what is above may add up to a share.
LEAST_VOTE = LEAST_SHARE / 10
# A noun names two clusters where the next is this much worse for one of them.
REPEAT = 1.5
# Nouns per cluster that are candidates of the joint choice.
CANDIDATES = 20
# Other names of a cluster are at least this good, as a share of the best score.
NEARLY = 0.6
# How much more usual a synonym has to be to stand for the first: ten times as common.
MUCH_MORE_USUAL = 10**COMMONNESS
# Confidence below which a name is shown as "perhaps".
UNSURE = 0.5
# Images that a name has to be right for before it is believed.
DOUBT = 2


def noun_evidence(vectors):
    """Return what images vote for, and what that says for each noun.

    Returns
    -------
    things : ndarray of shape (n_things, d)
        The distinct vectors of the nouns.
    parts : callable
        ``parts(shares)``, with shares of shape (k, n_things), returns the shares of
        the nouns, (k, n_nouns): nouns with one vector divide its share.
    """
    points = Points(vectors)

    def parts(shares):
        return csr_array(csr_array(shares / points.sizes)[:, points.of_noun])

    return vectors[points.first], parts


@torch.inference_mode()
def cluster_shares(rows, members, things, common, scale, device):
    """Return the share of the images of each cluster that show each thing, (k, m).

    An image shows thing `t` with a likelihood proportional to ``exp(scale * cosine)``.
    The shares of most likelihood are found by expectation maximization, as Saerens,
    Latinne and Decaestecker (2002) adjust a classifier to unknown priors: the mean
    vote of images spreads over what the encoder confuses, while shares gather at what
    explains all images together.

    Parameters
    ----------
    rows : Rows of shape (n, d)
    members : list of k arrays of int
        Rows of each cluster.
    things : ndarray of shape (m, d)
    common : ndarray of shape (d,)
        Taken from each image.
    scale : float
    device : torch.device
    """
    things = torch.from_numpy(np.ascontiguousarray(things)).to(device)
    shares = np.zeros((len(members), len(things)), np.float32)
    for own, chosen in zip(shares, members):
        images = torch.from_numpy(unit(rows[_spread(chosen, IMAGES)] - common))
        logits = (images.to(device) @ things.T).mul_(scale)
        votes = logits.softmax(dim=1)
        # What no image votes for stays at nothing.
        there = (votes.amax(dim=0) > LEAST_VOTE).nonzero()[:, 0]
        votes = votes[:, there]
        mixture = torch.full_like(votes[0], 1 / max(1, len(there)))
        for _ in range(1 + ROUNDS):
            weighted = votes * mixture
            total = weighted.sum(dim=1, keepdim=True).clamp_min(1e-30)
            mixture = (weighted / total).mean(dim=0)
        own[there.cpu().numpy()] = mixture.cpu().numpy()
    return shares


def _spread(members, n):
    """Return `n` of the members at most, evenly from all of them."""
    return members[:: 1 + (len(members) - 1) // n]


class Detectors:
    """Nouns as detectors of clusters.

    The recall of a noun is the share of a cluster's images that show it or what
    WordNet places below it; its precision is the cluster's part of these shares, every
    cluster counting the same.

    Parameters
    ----------
    shares : csr_array of shape (k, n_nouns)
        Of the images of each cluster that show each noun.
    vocabulary : Vocabulary
    synsets : list of str or None, length n_nouns
        As :func:`join_synonyms` returns them.
    weights : ndarray of shape (n_nouns,) or None, default=None
        If given, the shares of a noun include those of its hyponyms already, and this
        is how far they are its own.

    Attributes
    ----------
    nouns : list of str
        Candidates.
    recall, f_measure, scores : ndarray of shape (k, n_candidates)
        Scores are F-measures times how usual the noun is as a name.
    """

    def __init__(self, shares, vocabulary, synsets, weights=None):
        whole = weights is not None
        hierarchy: Any = None
        if any(synset is not None for synset in synsets):
            hierarchy = noun_hierarchy()
        shares = csr_array(shares)
        voted = np.unique(shares.indices[shares.data > LEAST_VOTE])
        if not len(voted):  # of very many nouns, none stands out
            voted = np.unique(shares.indices)
        # Nouns of one synset are one candidate.
        meaning = {
            i: (None, i) if synsets[i] is None else hierarchy.position(synsets[i])
            for i in (range(len(synsets)) if hierarchy and not whole else voted)
        }
        names = defaultdict(list)
        for i, own in meaning.items():
            names[own].append(i)
        columns: dict = {}
        rows, cols = [], []
        for i in voted:
            above = [meaning[i]]
            if not whole and synsets[i] is not None:
                above = sorted(names.keys() & hierarchy.ancestors(meaning[i]))
            rows += [i] * len(above)
            cols += [columns.setdefault(a, len(columns)) for a in above]
        below = csr_array(
            (np.ones(len(rows)), (rows, cols)), (shares.shape[1], len(columns))
        )
        recall = (shares @ below).toarray()
        kept = recall.max(axis=0) > LEAST_SHARE
        if not kept.any():
            kept[:] = True
        meanings = [own for own, there in zip(columns, kept) if there]
        self.synsets = [None if isinstance(own, tuple) else own for own in meanings]
        self.recall = recall[:, kept]
        self.f_measure = _f_measure(self.recall)
        if whole:
            own = [max(weights[i] for i in names[meaning]) for meaning in meanings]
            self.f_measure *= np.array(own)
            self.recall = self.recall * np.array(own)
        self.nouns, usual = [], []
        for own, synset in zip(meanings, self.synsets):
            # Of synonyms, the most usual.
            best = max(
                (vocabulary.nouns[i] for i in names[own]),
                key=lambda noun: usualness(hierarchy, noun, synset),
            )
            self.nouns.append(best)
            usual.append(usualness(hierarchy, best, synset))
        self.scores = self.f_measure * np.array(usual)
        self._usual, self._hierarchy = np.array(usual), hierarchy

    def choose(self):
        """Return the candidate that names each cluster, chosen for all together.

        Names differ, but where all others are far worse for a cluster: it then takes
        its best.
        """
        k = len(self.scores)
        logs = np.log(self.scores + 1e-12)
        best = logs.argmax(axis=1)
        size = min(CANDIDATES, logs.shape[1])
        kept = np.unique(np.argpartition(-logs, size - 1, axis=1)[:, :size])
        repeated = np.full((k, k), 2 * np.log(1e-12))
        np.fill_diagonal(repeated, logs[np.arange(k), best] - np.log(REPEAT))
        _, column = linear_sum_assignment(
            np.hstack([logs[:, kept], repeated]), maximize=True
        )
        taken = column < len(kept)
        return np.where(taken, kept[np.minimum(column, len(kept) - 1)], best)

    def qualifiers(self, chosen):
        """Return the candidate that tells each cluster from those of its name, or None.

        It has the best F-measure among them, times how usual it is.
        """
        found: list[int | None] = [None] * len(chosen)
        counts = Counter(chosen.tolist())
        for noun in (noun for noun, count in counts.items() if count > 1):
            same = np.flatnonzero(chosen == noun)
            recall = self.recall[same]
            score = _f_measure(recall) * self._usual
            score[:, self._at_or_above(noun)] = 0
            score[recall < LEAST_SHARE] = 0
            for cluster, own in zip(same, score):
                if own.max() > 0:
                    found[cluster] = int(own.argmax())
        return found

    def shown_names(self, places):
        """Return the names of candidates that are shown together."""
        synsets = [self.synsets[i] for i in places]
        nouns = [
            usual_name(self.nouns[i], synset, self._hierarchy)
            for i, synset in zip(places, synsets)
        ]
        known = [None if s is None else self._hierarchy.names[s] for s in synsets]
        return shown_names([nouns], [known])[0].tolist()

    def _at_or_above(self, noun):
        if self.synsets[noun] is None:
            return [noun]
        above = self._hierarchy.ancestors(self.synsets[noun])
        return [i for i, synset in enumerate(self.synsets) if synset in above]


def _f_measure(recall):
    """Return the F-measures of detectors, from their recall in each cluster."""
    totals = recall.sum(axis=0)
    precision = recall / np.where(totals > 0, totals, 1)
    both = precision + recall
    return 2 * precision * recall / np.where(both > 0, both, 1)


def usual_name(noun, synset, hierarchy):
    """Return the first of the names between commas of a noun with a synset.

    A later one is taken where it is a single word that is `MUCH_MORE_USUAL`: lists
    have "hog, pig" and "brassiere, bra".
    """
    if synset is None or "(" in noun:
        return noun
    parts = [part.strip() for part in noun.split(",")]
    usual = [usualness(hierarchy, part, synset) for part in parts]
    for i in sorted(range(1, len(parts)), key=lambda i: -usual[i]):
        if parts[i].isalpha() and usual[i] > MUCH_MORE_USUAL * usual[0]:
            return parts[i]
    return parts[0]
