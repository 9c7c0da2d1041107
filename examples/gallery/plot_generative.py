"""
GCC: generated images calibrate clusters
========================================

:class:`~sklearn_vlclust.GenerativeCalibrationClustering` trains a diffusion model on
its own clusters, and corrects these by the images it generates.
:doc:`../guide/generative` has the equations, :doc:`../papers/gcc` what is reproduced.
It needs ``pip install ".[generative]"`` in the clone. Where they are:

=========  ====================================================  =====================
equation   function, in `sklearn_vlclust/cluster/generative/`    in `history_`
=========  ====================================================  =====================
2          `_losses.pseudo_label_loss`                           "loss"
3 to 6     `_generator.py`, the diffusion model                  "loss"
8, 9       `_losses.kernel_matching`                             "kernel_matching"
10         `_losses.class_wise_matching`                         "class_wise_matching"
11         `_losses.metric_learning`                             "metric_learning"
12         their sum                                             "loss"
=========  ====================================================  =====================
"""

import numpy as np
from sklearn.datasets import load_digits

from sklearn_vlclust import GenerativeCalibrationClustering
from sklearn_vlclust.metrics import clustering_accuracy
from sklearn_vlclust.plotting import GeneratedImagesDisplay, TrainingCurveDisplay

# %%
# Zeros and ones, a small network and a few epochs, to be quick. The default takes
# minutes, and on all ten digits it has an accuracy of 96 %.

digits = load_digits(n_class=2)
X = (digits.images * 255 / 16).astype(np.uint8)[..., None]
model = GenerativeCalibrationClustering(
    2,
    width=8,
    contrast_epochs=16,
    head_epochs=8,
    generator_epochs=32,
    n_rounds=1,
    calibration_epochs=2,
    refinement_epochs=1,
    sampling_steps=8,
    random_state=0,
).fit(X)
print(f"accuracy: {clustering_accuracy(digits.target, model.labels_):.2f}")

# %%
# Stage I learns features, a head and a generator; stage II is rounds of generation,
# calibration and refinement.

_ = TrainingCurveDisplay.from_estimator(
    model, terms=["loss", "kernel_matching", "class_wise_matching", "metric_learning"]
)

# %%
# Figure 4 of the paper: images of a cluster, and images generated for it. After so few
# epochs the strokes are still blurred.

_ = GeneratedImagesDisplay.from_estimator(model, X, n_columns=5, random_state=0)
