"""Neighbors against the bare flat faiss index, and the cells against the exact search.

Bar: exact search takes at most 1.1 times the time of `faiss.IndexFlatIP`.
"""

import time

import numpy as np

from sklearn_vlclust.neighbors import kneighbors, nearest

from .rows import tile
from .shared_data import FOLDER

K = 20
SIZES = {
    "toy": {"n_exact": 500, "repeats": 1, "n_cells": [2000]},
    "quick": {"n_exact": 50_000, "repeats": 1, "n_cells": [20_000]},
    "full": {"n_exact": 50_000, "repeats": 3, "n_cells": [50_000, 250_000]},
}


def run(n_exact, repeats, n_cells):
    return {
        f"exact, {K} nearest": [exact(n_exact, repeats)],
        "cells, used above 200,000 rows": [cells(n) for n in n_cells],
    }


def real_embeddings(rng):
    """Return all CLIP embeddings of images that there are, or random rows instead."""
    files = sorted((FOLDER / "clip_vitb32").glob("images_*.npz"))
    if files:
        parts = [np.load(f)[k] for f in files for k in np.load(f) if "emb" in k]
        return np.concatenate(parts).astype(np.float32)
    seeds = rng.standard_normal((10_000, 512)).astype(np.float32)
    return seeds / np.linalg.norm(seeds, axis=1, keepdims=True)


def embeddings(n, rng):
    """Return these embeddings, tiled and jittered to `n` rows."""
    return tile(real_embeddings(rng), n, rng)[0]


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def exact(n, repeats):
    import faiss

    X = embeddings(n, np.random.default_rng(0))

    def flat():
        index = faiss.IndexFlatIP(X.shape[1])
        index.add(X)
        return index.search(X, K)

    pairs = [
        (seconds(flat)[0], seconds(lambda: kneighbors(X, K))[0]) for _ in range(repeats)
    ]
    flat_s, ours_s = np.median(pairs, axis=0).tolist()
    return {
        "rows": n,
        "flat_s": flat_s,
        "kneighbors_s": ours_s,
        "ratio": ours_s / flat_s,
        "bar": "<= 1.1",
    }


def cells(n):
    rng = np.random.default_rng(0)
    return search_cells(embeddings(n, rng), rng, exact_limit=0)


def search_cells(rows, rng, **params):
    """Seconds of `kneighbors` with an inverted file, and its share of the nearest."""
    n = rows.shape[0]
    took, (indices, _) = seconds(lambda: kneighbors(rows, K, random_state=0, **params))
    queries = np.sort(rng.choice(n, min(n, 2000), replace=False))
    expected, _ = nearest(rows[queries], rows, K + 1)
    recall = [
        len(set(found) & (set(true) - {q})) / K
        for q, found, true in zip(queries, indices[queries], expected)
    ]
    return {"rows": n, "seconds": took, f"recall_at_{K}": float(np.mean(recall))}
