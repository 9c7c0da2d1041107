"""
PICI: masked images and two contrasts
=====================================

:class:`~sklearn_vlclust.ContrastiveMaskedClustering` learns from pixels alone, for
images that no encoder knows. :doc:`../guide/contrastive_masked` has the equations,
:doc:`../papers/pici` what is reproduced. Where they are, in
`sklearn_vlclust/cluster/contrastive_masked/`:

=========  =======================================  ===================
equation   function in `_losses.py`                 in `history_`
=========  =======================================  ===================
1          `reconstruction_loss`                    "reconstruction"
5, 6       `instance_contrast`                      "instance_contrast"
8 to 11    `cluster_contrast`                       "cluster_contrast"
10         `assignment_entropy`                     "entropy"
12 to 15   `cross_level_interaction`                "interaction"
=========  =======================================  ===================
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_vlclust import ContrastiveMaskedClustering
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import ContactSheetDisplay, TrainingCurveDisplay

# %%
# Three kinds of digits, and a few epochs of each stage. The default has many: it takes
# minutes, and on all ten digits it has an accuracy of 90 %.

digits = load_digits(n_class=3)
X = (digits.images * 255 / 16).astype(np.uint8)[..., None]
model = ContrastiveMaskedClustering(
    3, pretrain_epochs=2, train_epochs=14, boost_epochs=4, random_state=0
).fit(X)
print(f"accuracy: {clustering_accuracy(digits.target, model.labels_):.2f}")

# %%
# Algorithm 1 in three stages, each of which minimizes something else.

_ = TrainingCurveDisplay.from_estimator(model)

# %%
# Eq. 1: half of the patches are masked, and the network fills them. So early, it knows
# little more than where ink is.

filled, masked = model.reconstruct(X[:6], return_masked=True)
figure, axes = plt.subplots(3, 6, figsize=(8, 4), layout="constrained")
for row, (title, pictures) in enumerate(
    (("image", X[:6]), ("masked", masked), ("filled", filled))
):
    axes[row, 0].set_ylabel(title)
    for ax, picture in zip(axes[row], pictures):
        ax.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])

# %%
# What the clusters hold.

_ = ContactSheetDisplay.from_estimator(model, X)
