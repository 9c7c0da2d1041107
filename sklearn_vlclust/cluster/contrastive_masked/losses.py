"""The loss terms of PICI, one function per equation.

Zhang, Huang, Ling, Zhang, Sun, Wen, "Learning Representations for Clustering via
Partial Information Discrimination and Cross-Level Interaction", 2024. Throughout: n
images in a batch, two views a and b of each, m clusters, d instance features.
"""

import torch
from torch.nn import functional as F

from ..contrast import contrast, instance_contrast

__all__ = [
    "assignment_entropy",
    "cluster_contrast",
    "cross_level_interaction",
    "instance_contrast",
    "reconstruction_loss",
]

# Keeps logarithms finite where a cluster is numerically empty.
TINY = 1e-12


def reconstruction_loss(predicted, target):
    """Mean squared error of the masked patches: eq. 1.

    `predicted` and `target`, (2 n, masked, p), hold the masked patches of both views,
    one after the other: the mean over all is the mean of the two views' errors. The
    text has both "all masked patches" and "the reconstructed images"; only masked
    patches are meant in the masked auto-encoder it follows, and here.
    """
    return F.mse_loss(predicted, target)


def cluster_contrast(q_a, q_b, tau):
    """Contrast of the two views of a cluster with all other clusters: eq. 8, mean.

    The first term of eq. 11. A cluster is its column of soft assignments, (n, m) for
    each view; `tau` is `tau_C`. The similarity of a view with itself is left out, as in
    `instance_contrast`.
    """
    return contrast(F.normalize(torch.cat([q_a.T, q_b.T]), dim=1), tau)


def assignment_entropy(q_a, q_b):
    """Entropy of the sizes of the clusters, summed over the views: eqs. 9 and 10.

    The second term of eq. 11, between 0 (collapsed) and ``2 log m`` (even), of the soft
    assignments of the views, (n, m). Eq. 10 as printed divides a column of assignments
    by its own sum, which is 1 for any; the share of the cluster, its sum divided by the
    sum of all columns, is meant.
    """
    share = torch.stack([q_a.mean(dim=0), q_b.mean(dim=0)]).clamp_min(TINY)
    return -(share * share.log()).sum()


def cross_level_interaction(logits_a, logits_b, labels):
    """Cross-entropy of the cluster head against matched pseudo-labels: eq. 15.

    Logits of the views are (n, m), and `labels`, (n,), are numbered as the clusters. It
    is the mean over images, where eq. 15 as printed sums: the weight of a term should
    not depend on the batch size.
    """
    return (F.cross_entropy(logits_a, labels) + F.cross_entropy(logits_b, labels)) / 2
