"""What is lost by choosing a method, or a number of clusters, without labels.

Three methods get the true number of clusters, by several seeds, on whole data sets and
on subsets of their classes. `ACC` is that of the partition that a criterion likes best,
in percent, mean over sets and seeds, and `loss` what the best of the three has beyond
it. Then k-means and MCAClustering get numbers around the true one: `loss` there is of
the adjusted Rand index (ARI), in percent, and `log2_k` the mean of log2 of the chosen
number by the true one. Labels are used for these figures alone. Bar: a loss of 1 point
between methods, on the mean.
"""

import warnings
from functools import partial

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score
from sklearn.model_selection import KFold, cross_val_predict

from sklearn_vlclust import (
    ContrastiveMaskedClustering,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.metrics import (
    clustering_accuracy,
    generalization,
    learned_information,
    simplified_silhouette_score,
)
from sklearn_vlclust.model_selection import (
    coding_rate_reduction_score,
    neighbor_consistency_score,
)

from . import shared_data
from .accuracy import ALL

SIZES = {
    "toy": {"data": ["dtd"], "n_draws": 1, "n_seeds": 1, "share": 0.1, "whole": False},
    "full": {"data": ALL, "n_draws": 3, "n_seeds": 3},
}
# Numbers of clusters that are compared, as multiples of the true one.
FACTORS = 0.25, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2
CHOSEN = "learned_information"


class _Given:
    """A fitted clusterer with labels that are given, for scorers."""

    def __init__(self, labels):
        self.labels = labels

    def predict(self, X):
        return self.labels


def _scorer(score):
    return lambda X, labels: score(_Given(labels), X)


def _plain(X, labels):
    """Without the square: `U ln k`."""
    return generalization(X, labels) * np.log(len(np.unique(labels)))


def _accuracy(X, labels):
    """Of a ridge classifier, trained on four of five folds: Cohen's kappa."""
    folds = KFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(RidgeClassifier(alpha=1), X, labels, cv=folds)
    return cohen_kappa_score(labels, predicted)


CRITERIA = {
    "simplified_silhouette_score": simplified_silhouette_score,
    "neighbor_consistency_score": _scorer(neighbor_consistency_score),
    "coding_rate_reduction_score": _scorer(coding_rate_reduction_score),
    "held-out accuracy": _accuracy,
    CHOSEN: learned_information,
    "generalization x ln k": _plain,
    **{
        f"learned_information, n_folds={folds}, alpha={alpha}": partial(
            learned_information, n_folds=folds, alpha=alpha
        )
        for folds, alpha in [(2, 0.3), (3, 0.1), (3, 1), (4, 0.1), (4, 0.3)]
    },
}


def run(data, n_draws, n_seeds, share=0.3, whole=True):
    """Choose among methods, and among numbers of clusters."""
    sets = dict(_sets(data, n_draws, share, whole))
    chosen = []
    for name, (X, y) in sets.items():
        for seed in range(n_seeds):
            chosen.append(_choose_method(name, X, y, seed))
            print("   ", name, seed, chosen[-1]["ACC"], flush=True)
    tables = {"methods, all": _losses(chosen, "ACC", [*CRITERIA, "medoid", *_METHODS])}
    for name in data:
        own = [one for one in chosen if one["set"].startswith(name)]
        for title, part in (
            (f"methods, {name}", [one for one in own if one["set"] == name]),
            (f"methods, {name}, classes drawn", [o for o in own if o["set"] != name]),
        ):
            if part:
                tables[title] = _losses(part, "ACC", [*CRITERIA, "medoid", *_METHODS])
    numbers = []
    for name, (X, y) in sets.items():
        if name.endswith("draw 0") or name in data:
            for method in ("k-means", "MCAClustering"):
                numbers.append(_choose_number(method, X, y))
                print("   ", name, method, numbers[-1]["ARI"], flush=True)
    tables["numbers of clusters"] = _losses(numbers, "ARI", list(CRITERIA))
    return tables


def _sets(data, n_draws, share, whole):
    for name in data:
        X, y = shared_data.images(name)
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        if whole:
            yield name, (X, y)
        n_classes = len(np.unique(y))
        for draw in range(n_draws):
            rng = np.random.default_rng(draw)
            classes = rng.choice(n_classes, round(share * n_classes), replace=False)
            kept = np.isin(y, classes)
            yield f"{name}, draw {draw}", (X[kept], y[kept])


def _mca(k, seed):
    return MCAClustering(k, semantic_space=shared_data.vocabulary(), random_state=seed)


_METHODS = {
    "MCAClustering": _mca,
    "RateReductionClustering": lambda k, s: RateReductionClustering(k, random_state=s),
    "ContrastiveMaskedClustering": lambda k, s: ContrastiveMaskedClustering(
        k, random_state=s
    ),
}


def _fit(method, k, seed, X):
    if method == "k-means":
        return KMeans(k, n_init=2, random_state=seed).fit_predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _METHODS[method](k, seed).fit(X).labels_


def _choose_method(name, X, y, seed):
    """Return the ACC of each method, and what each criterion gives it."""
    k = len(np.unique(y))
    labels = [_fit(method, k, seed, X) for method in _METHODS]
    agreement = [[adjusted_rand_score(a, b) for b in labels] for a in labels]
    scores = {what: [f(X, one) for one in labels] for what, f in CRITERIA.items()}
    scores["medoid"] = np.sum(agreement, axis=0)
    for i, method in enumerate(_METHODS):
        scores[method] = [i == j for j in range(len(labels))]  # always this one
    accuracy = [100 * clustering_accuracy(y, one) for one in labels]
    return {"set": name, "ACC": np.round(accuracy, 1), "scores": scores}


def _choose_number(method, X, y):
    """Return the ARI of each number of clusters, and what each criterion gives it."""
    k = len(np.unique(y))
    ks = sorted({max(2, round(factor * k)) for factor in FACTORS})
    ks = [number for number in ks if number <= len(X) / 4]
    labels = [_fit(method, number, 0, X) for number in ks]
    return {
        "log2_k": np.log2(np.array(ks) / k),
        "ARI": np.array([100 * adjusted_rand_score(y, one) for one in labels]),
        "scores": {what: [f(X, one) for one in labels] for what, f in CRITERIA.items()},
    }


def _losses(choices, measure, criteria):
    """Return a row of each criterion, means over the choices that it makes."""
    rows = []
    for what in criteria:
        places = [int(np.argmax(choice["scores"][what])) for choice in choices]
        found = np.array([one[measure][i] for one, i in zip(choices, places)])
        best = np.array([one[measure].max() for one in choices])
        row = {
            "what": what if what not in _METHODS else f"always {what}",
            "choices": len(choices),
            measure: round(float(found.mean()), 1),
            "loss": round(float((best - found).mean()), 2),
            "greatest_loss": round(float((best - found).max()), 1),
        }
        if "log2_k" in choices[0]:
            logs = [one["log2_k"][i] for one, i in zip(choices, places)]
            row["log2_k"] = round(float(np.mean(logs)), 2)
        if what == CHOSEN and measure == "ACC":
            row["bar"] = "loss <= 1"
        rows.append(row)
    rows.append(
        {
            "what": "the best, by labels",
            "choices": len(choices),
            measure: round(float(best.mean()), 1),
        }
    )
    return rows
