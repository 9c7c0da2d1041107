"""Clusters named with the class of their majority, by ClusterCaptioner.

Percent of the clusters whose majority class has a noun, means over seeds. `named`: the
caption is a noun of that class; `or a kind`: or WordNet places it below one, as
airliner below airplane. Bar: 80. Labels are used for these figures alone, but for "the
classes themselves", which shows what captions lose apart from clusters.
"""

import re

import numpy as np
from sklearn.cluster import KMeans

from sklearn_vlclust import (
    ClusterCaptioner,
    MCAClustering,
    RateReductionClustering,
)
from sklearn_vlclust.datasets.nouns import noun_hierarchy

from . import shared_data

SIZES = {
    "toy": {
        "data": ["pets"],
        "n_seeds": 1,
        "n_classes": 6,
        "vocabularies": ["imagenet"],
    },
    "full": {
        "data": ["pets", "caltech101"],
        "n_seeds": 5,
        "vocabularies": [
            "lvis+imagenet",
            "lvis+imagenet+openimages500+objects365",
        ],
    },
}
CAPTIONERS = {
    "Algorithm 2, cosines (as printed)": {
        "method": "votes",
        "centering": 0,
        "logit_scale": None,
        "generality": None,
    },
    "Algorithm 2, softmax (authors' code)": {
        "method": "votes",
        "centering": 0,
        "generality": None,
    },
    'method="votes"': {"method": "votes"},
    "ClusterCaptioner()": {},
}
# Caltech-101 has classes for parts of a thing.
PARTS = "body", "face", "head", "side"
# Classes under another name than the nouns', which neither spelling nor WordNet's
# synonyms tell.
OTHER_NAMES = {
    "egyptian mau": "egyptian cat",
    "german shorthaired": "german short-haired pointer",
    "water lilly": "water lily",
    "wheaten terrier": "soft-coated wheaten terrier",
}


def run(data, n_seeds, vocabularies, n_classes=None):
    """Name the clusters of each clusterer, by Algorithm 2 and by the default."""
    tables = {}
    nouns = shared_data.vocabulary()
    for name in data:
        X, y, classes = _some_classes(*shared_data.classes(name), n_classes)
        clusterings = _cluster(X, len(classes), nouns, n_seeds)
        clusterings["the classes themselves"] = [y]
        for vocabulary in vocabularies:
            words = shared_data.vocabulary(vocabulary)
            named = nouns_of_classes(classes, words, pets=name == "pets")
            kinds = with_kinds(named, words)
            title = (
                f"{name}, {len(words):,} nouns ({vocabulary}): "
                f"{sum(map(bool, named))} of {len(classes)} classes have a noun"
            )
            tables[title] = [
                _row(f"{clusterer}: {what}", X, y, labels, words, params, named, kinds)
                for clusterer, labels in clusterings.items()
                for what, params in CAPTIONERS.items()
            ]
    return tables


def nouns_of_classes(classes, vocabulary, pets=False):
    """Return of each class the positions of the nouns that mean it.

    A noun means a class if one of its names (between commas or slashes, without what
    is in brackets) is a name of the class, but for case, spaces, hyphens and a plural
    s; or if it shares a synset with such a noun. A class without such a noun takes
    those of the first sense of its name in WordNet.
    """
    hierarchy = noun_hierarchy()
    names = [_names(noun) for noun in vocabulary]
    allowed = set(range(len(vocabulary)))
    if pets:  # a ragdoll is no doll there
        carnivore = hierarchy.position("carnivore.n.01")
        allowed &= {i for i, a in enumerate(_ancestors(vocabulary)) if carnivore in a}
    found = []
    for forms in (_class_names(name, pets) for name in classes):
        plain = {_squeeze(form) for form in forms}
        plain |= {form + "s" for form in plain}
        own = {i for i, n in enumerate(names) if n & plain}
        synsets = {vocabulary.synsets[i] for i in own} - {None}
        if not synsets:
            senses = [hierarchy._senses.get(f.replace(" ", "_"), []) for f in forms]
            synsets = {hierarchy.names[sense[0]] for sense in senses if sense}
        own |= {i for i, synset in enumerate(vocabulary.synsets) if synset in synsets}
        # Nouns without a synset: by the names of the others.
        others = set().union(*(names[i] for i in own if vocabulary.synsets[i]))
        own |= {
            i
            for i, synset in enumerate(vocabulary.synsets)
            if synset is None and names[i] & others
        }
        found.append(own & allowed)
    return found


def with_kinds(named, vocabulary):
    """Add the nouns whose synset lies below that of one that is there."""
    ancestors = _ancestors(vocabulary)
    hierarchy = noun_hierarchy()
    found = []
    for own in named:
        tops = {vocabulary.synsets[i] for i in own} - {None}
        tops = {hierarchy.position(synset) for synset in tops}
        found.append(own | {i for i, above in enumerate(ancestors) if above & tops})
    return found


def _row(what, X, y, clusterings, words, params, named, kinds):
    position = {}
    for i, noun in enumerate(words):
        # A caption may be one of the names between commas, without the sense.
        bare = re.sub(r" \(.*\)$", "", noun)
        for name in (noun, bare, *map(str.strip, bare.split(","))):
            position.setdefault(name, i)
    strict, wide, counted = [], [], []
    for labels in clusterings:
        captioner = ClusterCaptioner(words, **params).fit(X, labels)
        hits = []
        for cluster, caption in zip(captioner.clusters_, captioner.captions_):
            majority = np.bincount(y[labels == cluster]).argmax()
            if named[majority]:
                noun = position.get(caption, position.get(caption.partition(",")[0]))
                hits.append([noun in named[majority], noun in kinds[majority]])
        counted.append(len(hits))
        for scores, share in zip((strict, wide), np.mean(hits, axis=0)):
            scores.append(round(100 * float(share), 1))
    return {
        "what": what,
        "clusters": float(np.mean(counted)),
        "named": round(float(np.mean(strict)), 1),
        "or a kind": round(float(np.mean(wide)), 1),
        "named_each": strict,
        "or a kind_each": wide,
    }


def _cluster(X, k, nouns, n_seeds):
    """Return the labels of each clusterer, a seed."""
    clusterers = {
        "k-means": lambda seed: KMeans(k, n_init=3, random_state=seed),
        "MCAClustering()": lambda seed: MCAClustering(
            k, semantic_space=nouns, random_state=seed
        ),
        "RateReductionClustering()": lambda seed: RateReductionClustering(
            k, random_state=seed
        ),
    }
    return {
        name: [make(seed).fit_predict(X) for seed in range(n_seeds)]
        for name, make in clusterers.items()
    }


def _some_classes(X, y, classes, n_classes):
    kept = slice(None) if n_classes is None else y < n_classes
    return X[kept], y[kept], classes[:n_classes]


def _class_names(name, pets):
    name = name.replace("_", " ").lower()
    forms = {name, OTHER_NAMES.get(name, name)}
    thing, _, part = name.rpartition(" ")
    if thing and part in PARTS:
        forms.add(thing)
    return forms | {f"{name} cat", f"{name} dog"} if pets else forms


def _names(noun):
    noun = re.sub(r"\(.*?\)", "", noun)
    return {_squeeze(name) for name in re.split("[,/]", noun)}


def _squeeze(name):
    return re.sub(r"[\s_-]", "", name.lower())


def _ancestors(vocabulary):
    hierarchy = noun_hierarchy()
    return [
        hierarchy.ancestors(hierarchy.position(synset)) if synset else frozenset()
        for synset in vocabulary.synsets
    ]
