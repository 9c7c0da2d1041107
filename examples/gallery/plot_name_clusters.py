"""
Name clusters
=============

:class:`~sklearn_vlclust.ClusterCaptioner` names the clusters of any clusterer by the
nouns that their images are near to: :doc:`../guide/words`.
"""

import numpy as np
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_images

from sklearn_vlclust import ClusterCaptioner, OfflineEmbedder, Vocabulary
from sklearn_vlclust.plotting import ContactSheetDisplay, SemanticTreeDisplay

# %%
# Images: crops of two photographs, a palace by a lake and a flower.

rng = np.random.default_rng(0)
images = []
for photograph in map(Image.fromarray, load_sample_images().images):
    for _ in range(20):
        left, top = rng.integers(0, 380), rng.integers(0, 170)
        images.append(photograph.crop((left, top, left + 256, top + 256)))

# %%
# Words: a list of nouns, here with their places in WordNet. `Vocabulary.from_wordnet()`
# has all 82,115; their vectors are computed once and kept on disk.

nouns = ["daisy", "building", "lake", "tree", "dog", "cat", "guitar", "bus", "bird"]
synsets = [f"{noun}.n.01" for noun in nouns]
vocabulary = Vocabulary(nouns, synsets=synsets)

# %%
# Any clusters will do, those of k-means for example. Each image votes for its nearest
# noun alone, as these are few; of thousands, for its five nearest.

embedder = OfflineEmbedder()
X = embedder.transform(images)
labels = KMeans(2, n_init=10, random_state=0).fit_predict(X)
captioner = ClusterCaptioner(vocabulary, top=1, embedder=embedder).fit(X, labels)
print(captioner.captions_)
print(captioner.candidates_)

# %%
# :class:`~sklearn_vlclust.plotting.ContactSheetDisplay` writes them beside the images.

_ = ContactSheetDisplay.from_predictions(
    images, labels, names=captioner.candidates_, n_columns=6
)

# %%
# Where the nouns stand in WordNet, and what is above them.

_ = SemanticTreeDisplay.from_synsets(synsets, max_rows=30)
