"""The loss terms of GCC, one function per equation.

Xia, Huang, Ding, "GCC: Generative Calibration Clustering", 2024. Throughout: n real
and g generated samples in a batch, k clusters, d features. A generated sample is
labeled by the cluster it was generated for, a real one by the cluster head.

Eq. 1 is the contrast of two views that PICI has as well: `instance_contrast`.
"""

import torch
from torch.nn import functional as F

from ..._backend._products import linear
from ..contrast import instance_contrast
from .kernel_pairs import match

__all__ = [
    "class_wise_matching",
    "instance_contrast",
    "kernel_matching",
    "metric_learning",
    "pseudo_label_loss",
]


def pseudo_label_loss(logits, labels):
    """Cross-entropy of the cluster head against pseudo-labels of k-means: eq. 2.

    Logits are (n, k), labels (n,). It is the mean over samples, where eq. 2 as printed
    sums: the weight of a term should not depend on the batch size.
    """
    return F.cross_entropy(logits, labels)


def kernel_matching(real, real_labels, generated, generated_labels, bandwidth=None):
    """Distance of real and generated samples, cluster by cluster: eqs. 8 and 9, `L_d`.

    For each cluster, the squared distance in the kernel's space of the mean of its real
    samples and the mean of its generated ones. Eq. 8 as printed has sums of features,
    but eq. 9 divides by the numbers of pairs, which makes them means.

    Two things differ from eq. 9. Pairs of a sample with itself are left out, which
    makes the estimate unbiased: with them the loss of n samples of one distribution is
    not 0 but about 2 / n, and falls where features shrink to a point; with the 14
    samples that a cluster of 37 has in a batch, that cost Oxford-IIIT Pets 4 points of
    accuracy and 12 of neighbor purity. And it is the mean over the clusters, not the
    sum: the weight of a term should not depend on their number.

    The kernel, which the paper leaves open, is ``exp(-|x - y|^2 / (2 bandwidth^2))``.
    One pass over its matrix gives all clusters; with many clusters on a CPU, over the
    blocks of it that hold the pairs of one. The gradient is written out: a product with
    the same matrix.

    Parameters
    ----------
    real : tensor of shape (n, d)
        Features of real samples.
    real_labels : int tensor of shape (n,)
        Their clusters by the cluster head.
    generated : tensor of shape (g, d)
        Features of generated samples.
    generated_labels : int tensor of shape (g,)
        Clusters they were generated for. Eq. 9 writes both kinds of labels alike.
    bandwidth : float, default=None
        If None, the median distance between two of the n + g samples (at most 512 of
        them, evenly spaced). No gradient flows through it. The scale of the features
        then does not matter.

    Returns
    -------
    loss : scalar tensor
        Mean over the clusters that have two samples of both kinds, 0 without any. Can
        be differentiated once.
    """
    features = torch.cat([real, generated])
    labels, n = torch.cat([real_labels, generated_labels]), len(real)
    with torch.no_grad():
        # Distances do not mind the mean, but float32 does where it is large.
        x = features - features.mean(dim=0)
        loss, gradient = match(x, labels, n, bandwidth)
    return loss + ((features - features.detach()) * gradient).sum()


def class_wise_matching(generated, labels):
    """Similarity of generated samples across clusters less that within: eq. 10.

    `L_cwm`, between -2 (clusters are points, opposite ones) and 2, of the directions of
    features, (g, d), and the clusters they were generated for, (g,). A term without
    pairs, as in a batch of one cluster, is left out.

    Eq. 10 and the text around it have two kinds of labels for generated samples; those
    they were generated for are meant, as a sample's own prediction would confirm
    itself. As printed, the second term also holds the similarity of a sample with
    itself, a constant that would drown the others where clusters are many: it is left
    out.
    """
    z = F.normalize(generated, dim=1)
    same = labels[:, None] == labels
    within = same.to(z.dtype).fill_diagonal_(0)
    across = (~same).to(z.dtype)
    weights = across / across.sum().clamp_min(1) - within / within.sum().clamp_min(1)
    return (linear(z, z) * weights).sum()


def metric_learning(scores, labels):
    """Push clusters that outdo the one generated for back to its score: eq. 11, `L_ml`.

    `scores`, (g, k), are outputs of the cluster head on generated samples, and
    `labels`, (g,), the clusters they were generated for. By eq. 2 scores are logits;
    their softmax makes the loss a bounded one, at most k - 1. A sample that is scored
    highest for its cluster costs nothing, unlike with cross-entropy: generated samples
    do not always show the intended cluster. It is the mean over samples, where eq. 11
    as printed sums.
    """
    own = scores.gather(1, labels[:, None])
    return (scores - own).clamp_min(0).square().sum(dim=1).mean()
