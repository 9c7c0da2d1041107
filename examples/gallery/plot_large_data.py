"""
Large data
==========

Embeddings that do not fit into memory are read from disk, a block at a time: from a
memory-mapped array, or from a folder of shards. :doc:`../guide/large` says what takes
memory.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from sklearn_vlclust import RateReductionClustering
from sklearn_vlclust.embedding import open_shards
from sklearn_vlclust.metrics import clustering_accuracy

# %%
# 60,000 rows in twelve groups, written to disk as an encoder would: in shards of
# 10,000. Real ones have millions of rows and a width of 512.

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
centers = rng.normal(size=(12, 32))
groups = rng.integers(0, 12, 60_000)
for i, part in enumerate(np.array_split(groups, 6)):
    rows = centers[part] + 0.7 * rng.normal(size=(len(part), 32))
    np.save(folder / f"{i}.npy", rows.astype(np.float32))

# %%
# A folder is embeddings, wherever there is an `X`. :func:`open_shards
# <sklearn_vlclust.embedding.open_shards>` makes one array of it that reads what is
# asked for.

X = open_shards(folder)
print(X.shape, X.dtype, len(X.files), "files")

# %%
# Learn from a sample, and predict all: that takes the time of a matrix product.

sample = X[np.sort(rng.choice(len(X), 3000, replace=False))]
model = RateReductionClustering(12, max_iter=3, random_state=0).fit(sample)
start = time.perf_counter()
labels = model.predict(X)
print(f"{len(labels):,} labels in {time.perf_counter() - start:.1f} s")
print(f"accuracy: {clustering_accuracy(groups, labels):.3f}")

# %%
# One file, memory-mapped, does the same.

np.save(folder / "all.npy", np.concatenate([np.load(file) for file in X.files]))
mapped = np.load(folder / "all.npy", mmap_mode="r")
print(type(mapped).__name__, (model.predict(mapped) == labels).all())

# %%
# Of many machines, :doc:`../guide/distributed` tells; what a billion images would cost,
# :doc:`../guide/cost`.
