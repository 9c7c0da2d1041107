"""
Search by text and by image
===========================

:class:`~sklearn_vlclust.ImageSearch` finds images by words, or by another image:
:doc:`../guide/search`.
"""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from sklearn_vlclust import ImageSearch, OfflineEmbedder

# %%
# Crops of two photographs, mixed.

rng = np.random.default_rng(0)
photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
images = []
for i in rng.permutation(40):
    left, top = rng.integers(0, 380), rng.integers(0, 170)
    images.append(photographs[i % 2].crop((left, top, left + 256, top + 256)))

search = ImageSearch(OfflineEmbedder(), n_neighbors=5).fit(images)

# %%
# By text. Distances of a text to all images are large: only their order tells.

texts = ["a flower", "a palace"]
distances, indices = search.kneighbors_text(texts)
print(distances.round(2))


def show(titles, rows):
    """Show a row of images for each query."""
    figure, axes = plt.subplots(len(rows), 5, figsize=(9, 2 * len(rows)))
    for title, row, places in zip(titles, rows, np.atleast_2d(axes)):
        places[0].set_title(title, loc="left")
        for place, i in zip(places, row):
            place.imshow(images[i])
            place.set_axis_off()
    figure.tight_layout()


show(texts, indices)

# %%
# By image, here one of each photograph: the first found is the query itself.

queries = [indices[0, 0], indices[1, 0]]
distances, indices = search.kneighbors([images[i] for i in queries])
show([f"like image {i}" for i in queries], indices)
