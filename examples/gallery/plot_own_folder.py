"""
Your own folder
===============

From a folder of pictures to clusters, a table of files and a report to open in the
browser. ``vlclust cluster FOLDER`` does the same: :doc:`../guide/command_line`.
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from sklearn_vlclust import OfflineEmbedder, VLClustering
from sklearn_vlclust.datasets import list_images
from sklearn_vlclust.plotting import ClusterGalleryDisplay, ClusterReport

# %%
# Take a folder of yours. Here it is filled with crops of two photographs.

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for name, pixels in zip(("palace", "flower"), load_sample_images().images):
    photograph = Image.fromarray(pixels)
    for i in range(20):
        left, top = rng.integers(0, 380), rng.integers(0, 170)
        crop = photograph.crop((left, top, left + 256, top + 256))
        crop.save(folder / f"{name}-{i:02d}.png")

paths = list_images(folder)
print(len(paths), "pictures")

# %%
# Embeddings are computed once: with ``cache="embeddings"`` they are kept on disk, and a
# run that was interrupted goes on. Nouns are chosen from all of WordNet if none are
# given. Without the 2, the number is estimated.

embedder = OfflineEmbedder()
X = embedder.transform(paths)
nouns = ["flower", "petal", "building", "palace", "lake", "tree", "dog", "guitar"]
model = VLClustering(2, semantic_space=nouns, embedder=embedder, random_state=0)
model.fit(X)
for cluster, names in enumerate(model.cluster_names_):
    print(cluster, (model.labels_ == cluster).sum(), "pictures:", ", ".join(names[:3]))

# %%
# On the left what is typical of a cluster, on the right what it is least certain of.

_ = ClusterGalleryDisplay.from_estimator(model, paths, embeddings=X, n_pictures=8)

# %%
# A table of files.

with (folder / "clusters.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["path", "cluster", "probability"])
    probability = model.predict_proba(X).max(axis=1)
    table.writerows(zip(paths, model.labels_, probability.round(3)))
print((folder / "clusters.csv").read_text().splitlines()[1].rpartition("/")[2])

# %%
# And a report: one file that needs no network, with a gallery of each cluster, a map of
# all pictures, names, outliers and possible duplicates. :doc:`../guide/report` shows
# one.

report = ClusterReport.from_estimator(model, paths, embeddings=X, title="My pictures")
saved = report.save(folder / "report.html")
print(saved.name, f"{saved.stat().st_size / 2**20:.1f} MiB")
