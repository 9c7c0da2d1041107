"""The loss terms of MCA, one function per equation.

Qiu, Zhang, Chen, Cai, "Multi-level Cross-modal Alignment for Image Clustering", AAAI
2024. Throughout: b images in a batch, c clusters, m nouns, k_S neighboring nouns per
image, d features. `q` are soft assignments of images, `p` of nouns; rows sum to one.
"""

import torch
from torch.nn import functional as F

from ..._backend._products import linear

# Keeps logarithms finite where an assignment is numerically zero.
TINY = 1e-12


def image_consistency(q, q_neighbor):
    """Disagreement of images with one of their nearest images: eq. 1, first term.

    Parameters
    ----------
    q, q_neighbor : tensor of shape (b, c)
        Assignments of the images and of a random neighbor of each.

    Returns
    -------
    loss : scalar tensor
        ``-mean_i log(q_i . q_j)``.
    """
    return -(q * q_neighbor).sum(dim=1).clamp_min(TINY).log().mean()


def negative_entropy(q, shares=None):
    """Imbalance of the mean assignment: eq. 1, second term, without its weight `eta`.

    Eq. 1 as printed subtracts ``eta * sum_l qbar_l log qbar_l``, which would reward
    putting everything in one cluster. The text ("negative entropy ... for preventing
    trivial solutions") fixes the sign used here.

    Parameters
    ----------
    q : tensor of shape (b, c)
        Assignments.
    shares : tensor of shape (c,), default=None
        Shares of the clusters that are known (not in the paper). The loss is then the
        divergence of the mean from them, which is 0 or more.

    Returns
    -------
    loss : scalar tensor
        ``sum_l qbar_l log qbar_l``, between ``-log c`` (even) and 0 (collapsed).
    """
    mean = q.mean(dim=0).clamp_min(TINY)
    if shares is not None:
        return (mean * (mean / shares).log()).sum()
    return (mean * mean.log()).sum()


def instance_alignment(q, p, neighbor, tau):
    """Contrast of an image with one of its nearest nouns against all others: eq. 2.

    Parameters
    ----------
    q : tensor of shape (b, c)
        Assignments of images.
    p : tensor of shape (m, c)
        Assignments of all nouns.
    neighbor : int tensor of shape (b,)
        The noun drawn from each image's nearest nouns.
    tau : float
        Temperature `tau_ia`.

    Returns
    -------
    loss : scalar tensor
        The positive pair is left out of the denominator, as printed.
    """
    return _contrast(linear(q, p) / tau, neighbor)


def prototype_alignment(rho_image, rho_text, tau):
    """Agreement of each pair of prototypes, compared with all other pairs: eq. 3.

    As printed, the denominator holds the other pairs ``h_l^I . h_l^S``. The proof of
    Theorem 6 has ``h_j^I . h_l^S`` in places; that form was measured to lose clusters
    (34 of 37 left on Oxford pets), as image prototypes without a noun of their own
    share a text prototype and are then driven apart.

    Parameters
    ----------
    rho_image, rho_text : tensor of shape (c, c)
        Assignments ``f_I(h^I)`` and ``f_S(h^S)``; row j belongs to prototype j.
    tau : float
        Temperature `tau_pa`.

    Returns
    -------
    loss : scalar tensor
    """
    agreement = (rho_image * rho_text).sum(dim=1) / tau  # (c,)
    own = torch.arange(len(agreement), device=agreement.device)
    return _contrast(agreement.expand(len(own), -1), own)


def attention_weights(queries, keys):
    """Weights of each image's neighboring nouns: eq. 4, softmax.

    Parameters
    ----------
    queries : tensor of shape (b, d)
        ``W^I u_i``; or ``W^S^T W^I u_i`` with the nouns themselves as keys.
    keys : tensor of shape (b, k_S, d)
        ``W^S v_j`` of the neighboring nouns.

    Returns
    -------
    weights : tensor of shape (b, k_S)
        Rows sum to one.
    """
    return torch.einsum("bd,bkd->bk", queries, keys).softmax(dim=1)


def semantic_assignment(weights, p):
    """Assignment of an image as its neighboring nouns see it: eq. 4.

    Parameters
    ----------
    weights : tensor of shape (b, k_S)
        See `attention_weights`.
    p : tensor of shape (b, k_S, c)
        Assignments of the neighboring nouns.

    Returns
    -------
    p_prime : tensor of shape (b, c)
        Rows sum to one.
    """
    return torch.einsum("bk,bkc->bc", weights, p)


def semantic_alignment(q, p_prime):
    """Cross-entropy of images against the pseudo-labels of their nouns: eqs. 5 and 6.

    The arg max of eq. 5 has no gradient, so `W^I`, `W^S` and `f_S` would learn
    nothing here. A straight-through estimator (not in the paper) passes the gradient of
    the one-hot label on to `p_prime`.

    Parameters
    ----------
    q : tensor of shape (b, c)
        Assignments of images.
    p_prime : tensor of shape (b, c)
        Assignments by neighboring nouns; their arg max is the pseudo-label.

    Returns
    -------
    loss : scalar tensor
    """
    label = F.one_hot(p_prime.argmax(dim=1), q.shape[1])  # q' of eq. 5
    label = label + p_prime - p_prime.detach()
    return -(label * q.clamp_min(TINY).log()).sum(dim=1).mean()


def _contrast(similarity, positive):
    """Return ``-mean_i (s_ij - log sum_{l != j} exp s_il)``, j the positive of i."""
    positive = positive[:, None]
    others = similarity.scatter(1, positive, -torch.inf)
    gap = similarity.gather(1, positive)[:, 0] - others.logsumexp(dim=1)
    return -gap.mean()
