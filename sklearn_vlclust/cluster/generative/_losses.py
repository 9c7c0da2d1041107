"""The loss terms of GCC, one function an equation.

Xia, Huang, Ding, "GCC: Generative Calibration Clustering", 2024. Throughout: n real
and g generated samples in a batch, k clusters, d features. A generated sample is
labelled by the cluster it was generated for, a real one by the cluster head.

Eq. 1 is the contrast of two views that PICI has as well: `instance_contrast`.
"""

import torch
from torch.nn import functional as F

from ..contrastive_masked._losses import TINY, instance_contrast

__all__ = [
    "class_wise_matching",
    "instance_contrast",
    "kernel_matching",
    "metric_learning",
    "pseudo_label_loss",
    "rbf_kernel",
]


def pseudo_label_loss(logits, labels):
    """Cross-entropy of the cluster head against pseudo-labels: eq. 2.

    Parameters
    ----------
    logits : tensor of shape (n, k)
        Cluster logits, before the softmax.
    labels : int tensor of shape (n,)
        Clusters of k-means.

    Returns
    -------
    loss : scalar tensor
        Mean over samples, where eq. 2 as printed sums: the weight of a term is not to
        depend on the size of the batch.
    """
    return F.cross_entropy(logits, labels)


def rbf_kernel(features, bandwidth=None):
    """Gaussian kernel of all pairs of rows, ``exp(-|x - y|^2 / (2 bandwidth^2))``.

    The paper leaves the kernel open.

    Parameters
    ----------
    features : tensor of shape (n, d)
        Rows.
    bandwidth : float, default=None
        None is the median distance of two rows, of which no gradient is taken: the
        kernel then does not depend on the scale of the features.

    Returns
    -------
    kernel : tensor of shape (n, n)
        Ones on the diagonal.
    """
    # Distances do not mind the mean, but float32 does where it is large.
    x = features - features.detach().mean(dim=0)
    norms = x.square().sum(dim=1)
    squares = torch.addmm(norms[:, None] + norms, x, x.T, alpha=-2)
    squares = squares.clamp_min(0).fill_diagonal_(0)
    if bandwidth is not None:
        return torch.exp(squares / (-2 * bandwidth**2))
    i, j = torch.triu_indices(len(x), len(x), 1, device=x.device)
    pairs = squares.detach()[i, j]
    scale = pairs.median() if len(pairs) else pairs.new_ones(())
    return torch.exp(squares / (-2 * scale.clamp_min(TINY)))


def kernel_matching(
    real, real_labels, generated, generated_labels, n_clusters, bandwidth=None
):
    """Distance of real and generated samples, cluster by cluster: eqs. 8 and 9, `L_d`.

    For each cluster, the squared distance in the kernel's space of the mean of its real
    samples and the mean of its generated ones. Eq. 8 as printed has sums of features,
    but eq. 9 divides by the numbers of pairs, which makes them means.

    All clusters are read off one kernel matrix: with a column for each cluster that
    holds 1 / (number of its real samples) at these and -1 / (number of its generated
    ones) at those, ``d_r + d_g - 2 d_rg`` is a quadratic form.

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
    n_clusters : int
        Number of clusters.
    bandwidth : float, default=None
        Of `rbf_kernel`; None is the median distance of all n + g samples.

    Returns
    -------
    loss : scalar tensor
        Sum over the clusters that have samples of both kinds; at least 0.
    """
    kernel = rbf_kernel(torch.cat([real, generated]), bandwidth)
    a = F.one_hot(real_labels, n_clusters).to(kernel.dtype)  # (n, k)
    b = F.one_hot(generated_labels, n_clusters).to(kernel.dtype)  # (g, k)
    n_real, n_generated = a.sum(dim=0), b.sum(dim=0)
    both = (n_real > 0) & (n_generated > 0)
    weights = torch.cat([a / n_real.clamp_min(1), -b / n_generated.clamp_min(1)])
    weights = weights * both
    return (weights * (kernel @ weights)).sum()


def class_wise_matching(generated, labels):
    """Similarity of generated samples across clusters less that within: eq. 10.

    `L_cwm`. Eq. 10 and the text around it have two kinds of labels for generated
    samples; those they were generated for are meant, as a sample's own prediction would
    confirm itself. As printed, the second term also holds the similarity of a sample
    with itself, a constant that would drown the others where clusters are many: it is
    left out.

    Parameters
    ----------
    generated : tensor of shape (g, d)
        Features of generated samples; only their directions count (cosines).
    labels : int tensor of shape (g,)
        Clusters they were generated for.

    Returns
    -------
    loss : scalar tensor
        Between -2 (clusters are points, opposite ones) and 2. A term without pairs, as
        in a batch of one cluster, is left out.
    """
    z = F.normalize(generated, dim=1)
    same = labels[:, None] == labels
    within = same.to(z.dtype).fill_diagonal_(0)
    across = (~same).to(z.dtype)
    weights = across / across.sum().clamp_min(1) - within / within.sum().clamp_min(1)
    return (z @ z.T * weights).sum()


def metric_learning(scores, labels):
    """Push clusters that outdo the one generated for back to its score: eq. 11, `L_ml`.

    A sample that is scored highest for its cluster costs nothing, unlike with
    cross-entropy: generated samples are not always what they were meant to be.

    Parameters
    ----------
    scores : tensor of shape (g, k)
        Output of the cluster head on generated samples. By eq. 2 these are logits;
        their softmax makes the loss a bounded one, at most k - 1.
    labels : int tensor of shape (g,)
        Clusters they were generated for.

    Returns
    -------
    loss : scalar tensor
        Sum over clusters, mean over samples, where eq. 11 as printed sums: the weight
        of a term is not to depend on the size of the batch.
    """
    own = scores.gather(1, labels[:, None])
    return (scores - own).clamp_min(0).square().sum(dim=1).mean()
