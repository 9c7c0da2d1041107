"""First names of clusters that a person would accept.

`accepted_names.csv` lists the words accepted per class, and was written before
anything was measured: the word for the class and its synonyms, kinds where that is what
the pictures show (airliners), and the basic-level word ("tower" for a minaret) unless
another class of the set falls under it; where people have one word for two classes,
both accept it. Case, hyphens, a plural s and what is in brackets do not count; of a
noun with commas, such as "cougar, puma", any part does, also where the first alone is
shown.

Percent of the clusters whose first name is accepted for the class of their majority,
among classes that the vocabulary has an accepted word for, and percent of distinct
first names; how many names of found clusters have a confidence of .8 and more, and
percent of these that are accepted. Clusters are the classes themselves, or are found by
`VLClustering`, which is given their number; figures are means over seeds. CLIP rows
have the nouns of LVIS and ImageNet; photographs are embedded by the offline encoder,
with the nouns of WordNet. Classes are used for the figures alone.

Bars, classes / clusters found: caltech-photos 80 / 75, pacs-photos 6 of 7,
cifar10-photos 90 / 70, caltech101 90 / 85, pets 88 / 82.

The environment variable VLCLUST_BENCHMARK_CACHE names a folder where the rows of the
offline encoder are kept from one run to the next.
"""

import csv
import re
import warnings
from pathlib import Path

import numpy as np

from sklearn_vlclust import ClusterCaptioner, VLClustering, Vocabulary

from . import shared_data
from .k_suite import PHOTOS, load_rows

SIZES = {
    "toy": {"data": ["pets"], "n_seeds": 1, "n_classes": 6},
    "full": {
        "data": [
            "caltech-photos",
            "pacs-photos",
            "cifar10-photos",
            "caltech101",
            "pets",
        ],
        "n_seeds": 5,
    },
}
CAPTIONERS = {
    "ClusterCaptioner()": {},
    'method="votes"': {"method": "votes"},
    "Algorithm 2, softmax (authors' code)": {
        "method": "votes",
        "centering": 0,
        "generality": None,
    },
}
TABLE = Path(__file__).with_name("accepted_names.csv")


def run(data, n_seeds, n_classes=None):
    """Name classes and clusters of each set, by Algorithm 2 and by the default."""
    tables = {}
    for name in data:
        X, y, words = load_set(name, n_classes)
        vocabulary, encoder = nouns_of(name)
        known = [any(accepts(own, noun) for noun in vocabulary) for own in words]
        found = [
            _cluster(X, len(words), vocabulary, encoder, seed)
            for seed in range(n_seeds)
        ]
        title = f"{name}: {sum(known)} of {len(words)} classes have a noun"
        first = {}
        tables[title] = []
        for what, params in CAPTIONERS.items():
            captioner = ClusterCaptioner(vocabulary, embedder=encoder, **params)
            first[what] = captioner.fit(X, y).captions_
            of_classes = judge(captioner, y, y, words, known, vocabulary)
            of_found = [
                judge(captioner.fit(X, labels), labels, y, words, known, vocabulary)
                for labels in found
            ]
            tables[title].append(_row(what, of_classes, of_found))
        tables[f"{name}: first names of the classes"] = [
            {
                "a person's word": own[0],
                **{what: str(names[c]) for what, names in first.items()},
                "accepted": [accepts(own, names[c]) for names in first.values()],
            }
            for c, own in enumerate(words)
        ]
    return tables


def load_set(name, n_classes=None):
    """Return rows, classes 0, 1, ... and the words accepted for each."""
    X, y = load_rows(name)
    kept = y < (n_classes or np.inf)
    with TABLE.open(newline="") as file:
        words = {
            row["class"]: row["accepted"].split("|")
            for row in csv.DictReader(file)
            if row["set"] == name
        }
    return X[kept], y[kept], [words[c] for c in _classes(name)][:n_classes]


def nouns_of(name):
    """Return the vocabulary of a set, and the encoder of its words."""
    if name in shared_data.IMAGES:
        return shared_data.vocabulary(), None
    return Vocabulary.from_wordnet(), "offline"


def accepts(words, name):
    """Whether one of the forms of a name is among the words."""
    plain = {_squeeze(word) for word in words}
    plain |= {word + "s" for word in plain}
    parts = re.sub(r"\(.*?\)", "", name).split(",")
    return not plain.isdisjoint(map(_squeeze, parts))


def judge(captioner, labels, y, words, known, vocabulary):
    """Return shares of accepted and of distinct first names, and pairs for each name.

    Shares are in percent; pairs are its confidence and whether it is accepted.
    """
    synonyms = {noun.partition(",")[0]: noun for noun in vocabulary.nouns}
    pairs = []
    for cluster, name, confidence in zip(
        captioner.clusters_, captioner.captions_, captioner.confidences_
    ):
        majority = np.bincount(y[labels == cluster]).argmax()
        if known[majority]:
            own = words[majority]
            hit = accepts(own, name) or accepts(own, synonyms.get(name, ""))
            pairs.append((confidence, hit))
    distinct = len(set(captioner.captions_)) / len(captioner.captions_)
    return 100 * float(np.mean([hit for _, hit in pairs])), 100 * distinct, pairs


def _cluster(X, k, vocabulary, encoder, seed):
    space = "wordnet" if encoder else vocabulary
    model = VLClustering(
        k, semantic_space=space, embedder=encoder or "auto", random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit_predict(X)


def _row(what, of_classes, of_found):
    accepted, distinct = np.array([row[:2] for row in of_found]).T
    sure = [hit for row in of_found for confidence, hit in row[2] if confidence >= 0.8]
    n_names = sum(len(row[2]) for row in of_found)
    return {
        "what": what,
        "classes": round(of_classes[0], 1),
        "classes_distinct": round(of_classes[1], 1),
        "found": round(float(accepted.mean()), 1),
        "found_distinct": round(float(distinct.mean()), 1),
        "found_each": accepted.round(1).tolist(),
        "confident": round(100 * len(sure) / n_names, 1),
        "confident_accepted": round(100 * float(np.mean(sure)), 1) if sure else None,
    }


def _classes(name):
    """Return the names of the classes, in the order of their numbers."""
    if name in shared_data.IMAGES:
        return shared_data.classes(name)[2]
    if name in PHOTOS:
        folder = shared_data.folder(PHOTOS[name])
        return sorted(path.name for path in folder.iterdir() if path.is_dir())
    return sorted(map(str, shared_data.load("cifar10/cifar10_jpeg.npz")["class_names"]))


def _squeeze(word):
    return re.sub(r"[\s-]+", " ", word).strip().casefold()
