"""
MCA: multi-level cross-modal alignment
======================================

:class:`~sklearn_vlclust.MCAClustering` learns clusters of images and of nouns that
agree with each other. :doc:`../guide/mca` has the equations, :doc:`../papers/mca` what
is reproduced. Where they are:

=========  ===============================================  ======================
equation   function, in `sklearn_vlclust/cluster/mca/`      in `history_`
=========  ===============================================  ======================
1          `_losses.image_consistency`                      "image_consistency"
1          `_losses.negative_entropy`                       "balance"
2          `_losses.instance_alignment`                     "instance_alignment"
3          `_losses.prototype_alignment`                    "prototype_alignment"
4          `_losses.attention_weights`
4          `_losses.semantic_assignment`
5, 6       `_losses.semantic_alignment`                     "semantic_alignment"
7, 8       `_objective.MCAObjective.forward`                "loss"
=========  ===============================================  ======================
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_vlclust import MCAClustering, Vocabulary
from sklearn_vlclust.plotting import TrainingCurveDisplay

# %%
# Stand-ins for the embeddings of an encoder: nouns are directions, and images lie
# around theirs. Two nouns describe no image.

words = ["cat", "dog", "car", "boat", "cup", "tree"]
rng = np.random.default_rng(0)
nouns = np.linalg.qr(rng.normal(size=(24, 24)))[0][:6]
shown = rng.integers(0, 4, 400)
X = nouns[shown] + 0.35 * rng.normal(size=(400, 24))
vocabulary = Vocabulary(words, embeddings=nouns)

# %%
# A fit finds the nouns near the images (eq. 4 and the semantic space), starts from a
# partition, and trains two heads.

mca = MCAClustering(4, semantic_space=vocabulary, random_state=0).fit(X)
mca

# %%
# The terms, epoch by epoch. The semantic level (eqs. 5 and 6) waits `warm_up` epochs.

_ = TrainingCurveDisplay.from_estimator(mca)

# %%
# How far the words were trusted, and what the clusters are called.

print(f"semantic weight: {mca.semantic_weight_:.2f}")
for names, scores in zip(mca.cluster_names_, mca.name_scores_):
    print(dict(zip(map(str, names), scores.round(2).tolist())))

# %%
# Eq. 4, which nouns each image leans on, is Figure 4 of the paper.

found, weights = mca.attention(X[:3])
figure, axes = plt.subplots(1, 3, figsize=(9, 2.5), layout="constrained")
for ax, names, values, true in zip(axes, found, weights, shown):
    ax.barh([str(name) for name in names], values)
    ax.set(title=f"shows a {words[true]}", xlabel="attention", xlim=(0, 1))
    ax.invert_yaxis()
