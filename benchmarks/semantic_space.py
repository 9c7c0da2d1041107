"""Peak memory of SemanticSpace on a memory-mapped X and a vocabulary of WordNet's size.

python benchmarks/semantic_space.py [--quick] [--json FILE]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDTH, N_NOUNS, N_CLUSTERS = 512, 82_115, 100


def write_rows(path, n):
    """Write `n` random rows, a block at a time."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, WIDTH))
    for start in range(0, n, 10_000):
        X[start : start + 10_000] = rng.standard_normal(
            X[start : start + 10_000].shape, dtype=np.float32
        )
    X.flush()


def fit(folder):
    """Fit in this process; peak memory and time as JSON on standard output."""
    from sklearn_vlclust import SemanticSpace, Vocabulary

    X = np.load(folder / "X.npy", mmap_mode="r")
    nouns = np.load(folder / "nouns.npy", mmap_mode="r")
    start = time.perf_counter()
    vocabulary = Vocabulary([f"noun {i}" for i in range(len(nouns))], nouns)
    space = SemanticSpace(vocabulary, n_clusters=N_CLUSTERS, random_state=0).fit(X)
    fitted = time.perf_counter()
    space.kneighbors(X, 5)
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return {
        "rows": len(X),
        "nouns": len(nouns),
        "kept": len(space.nouns_),
        "fit_s": fitted - start,
        "kneighbors_s": time.perf_counter() - fitted,
        "peak_gib": peak / 2**30,
        "beyond_X_gib": (peak - X.nbytes) / 2**30,
    }


def main(quick=False):
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder, "X.npy"), 50_000 if quick else 1_000_000)
        write_rows(Path(folder, "nouns.npy"), N_NOUNS)
        # A process of its own, as peak memory is the process's.
        command = [sys.executable, __file__, "--fit", folder]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    results = json.loads(output)
    for name, value in results.items():
        print(f"{name:>14} {value:>12,.2f}".removesuffix(".00"))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.fit:
        print(json.dumps(fit(args.fit)))
    else:
        results = main(args.quick)
        if args.json:
            args.json.write_text(json.dumps(results, indent=2))
