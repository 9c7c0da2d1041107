"""Neighbors against the bare flat faiss index, and the cells against the exact search.

python benchmarks/neighbors.py [--quick] [--json FILE]
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from sklearn_vlclust.neighbors import kneighbors, nearest

K = 20
DATA = Path(os.environ.get("VLCLUST_TEST_DATA", "../shared/data"), "clip_vitb32")


def embeddings(n, rng):
    """Real image embeddings where there are any, tiled and jittered to `n` rows."""
    files = sorted(DATA.glob("images_*.npz"))
    if files:
        parts = [np.load(f)[k] for f in files for k in np.load(f) if "emb" in k]
        seeds = np.concatenate(parts).astype(np.float32)
    else:
        seeds = rng.standard_normal((10_000, 512)).astype(np.float32)
        seeds /= np.linalg.norm(seeds, axis=1, keepdims=True)
    X = seeds[rng.integers(len(seeds), size=n)]
    for block in np.array_split(X, 1 + n // 10_000):
        block += 0.03 * rng.standard_normal(block.shape, dtype=np.float32)
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return X


def seconds(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def exact(n, repeats=3):
    import faiss

    X = embeddings(n, np.random.default_rng(0))

    def flat():
        index = faiss.IndexFlatIP(X.shape[1])
        index.add(X)
        return index.search(X, K)

    pairs = [
        (seconds(flat)[0], seconds(lambda: kneighbors(X, K))[0]) for _ in range(repeats)
    ]
    flat_s, ours_s = np.min(pairs, axis=0)
    return {
        "rows": n,
        "flat_s": flat_s,
        "kneighbors_s": ours_s,
        "ratio": ours_s / flat_s,
    }


def cells(n):
    rng = np.random.default_rng(0)
    X = embeddings(n, rng)
    took, (indices, _) = seconds(
        lambda: kneighbors(X, K, exact_limit=0, random_state=0)
    )
    queries = rng.choice(n, 2000, replace=False)
    expected, _ = nearest(X[queries], X, K + 1)
    recall = [
        len(set(found) & (set(true) - {q})) / K
        for q, found, true in zip(queries, indices[queries], expected)
    ]
    return {"rows": n, "seconds": took, "recall_at_20": float(np.mean(recall))}


def main(quick=False):
    results = {
        "exact": exact(10_000 if quick else 50_000, repeats=1 if quick else 3),
        "cells": [cells(n) for n in ([20_000] if quick else [50_000, 250_000])],
    }
    row = results["exact"]
    print(f"{'rows':>9} {'IndexFlatIP':>12} {'kneighbors':>12} {'ratio':>7}")
    print(
        f"{row['rows']:>9,} {row['flat_s']:>10.2f} s {row['kneighbors_s']:>10.2f} s "
        f"{row['ratio']:>7.2f}"
    )
    print(f"{'rows':>9} {'cells':>12} {'recall@20':>12}")
    for row in results["cells"]:
        print(
            f"{row['rows']:>9,} {row['seconds']:>10.2f} s {row['recall_at_20']:>12.3f}"
        )
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = main(args.quick)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))
