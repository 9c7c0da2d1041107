"""From a folder of photographs to named clusters with the offline encoder.

Folder to labels, by all nouns of WordNet; classes are used for the figures alone. Bar:
ACC at least 95 on pacs_photo. The first fit embeds the photographs, later ones find
them in its cache.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from sklearn_vlclust import MCAClustering, OfflineEmbedder
from sklearn_vlclust.datasets import list_images
from sklearn_vlclust.metrics import clustering_accuracy

from . import shared_data

SIZES = {
    "toy": {"every": 40, "n_seeds": 1},
    "full": {"every": 1, "n_seeds": 5},
}


def run(every, n_seeds):
    """Take every `every`-th photograph of pacs_photo."""
    paths = list_images(shared_data.folder("pacs_photo"))[::every]
    classes, y = np.unique(
        [Path(path).parent.name for path in paths], return_inverse=True
    )
    k = len(classes)
    with tempfile.TemporaryDirectory() as cache:
        embedder = OfflineEmbedder(cache=cache)
        fits, names = [], []
        for seed in range(n_seeds):
            start = time.perf_counter()
            mca = MCAClustering(k, embedder=embedder, random_state=seed).fit(paths)
            seconds = time.perf_counter() - start
            fits.append({"what": "MCAClustering()", "seed": seed})
            fits[-1] |= {**_scores(y, mca.labels_), "seconds": seconds}
            names += _names(mca, y, classes, seed)
        X = embedder.transform(paths)
    for seed in range(n_seeds):
        labels = KMeans(k, n_init=3, random_state=seed).fit_predict(X)
        fits.append({"what": "k-means", "seed": seed, **_scores(y, labels)})
    return {f"{len(paths):,} photographs, {k} classes": fits, "names": names}


def _scores(y, labels):
    return {
        "ACC": 100 * clustering_accuracy(y, labels),
        "NMI": 100 * normalized_mutual_info_score(y, labels),
    }


def _names(mca, y, classes, seed):
    rows = []
    for cluster, names in enumerate(mca.cluster_names_):
        members = np.bincount(y[mca.labels_ == cluster], minlength=len(classes))
        rows.append(
            {
                "seed": seed,
                "cluster": cluster,
                "size": int(members.sum()),
                "class": str(classes[members.argmax()]),
                "of_it": float(members.max() / members.sum()),
                "names": ", ".join(names),
            }
        )
    return rows
