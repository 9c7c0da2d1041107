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

    ``-mean_i log(q_i . q_j)`` with the assignments `q` and `q_neighbor`, (b, c), of the
    images and of a random neighbor of each.
    """
    return -(q * q_neighbor).sum(dim=1).clamp_min(TINY).log().mean()


def negative_entropy(q, shares=None):
    """Imbalance of the mean assignment: eq. 1, second term, without its weight `eta`.

    ``sum_l qbar_l log qbar_l`` of the assignments `q`, (b, c): between ``-log c``
    (even) and 0 (collapsed). With known `shares` of the clusters, (c,), it is the
    divergence of the mean from them, which is 0 or more (not in the paper).

    Eq. 1 as printed subtracts ``eta * sum_l qbar_l log qbar_l``, which would reward
    putting everything in one cluster. The text ("negative entropy ... for preventing
    trivial solutions") fixes the sign used here.
    """
    mean = q.mean(dim=0).clamp_min(TINY)
    if shares is not None:
        return (mean * (mean / shares).log()).sum()
    return (mean * mean.log()).sum()


def instance_alignment(q, p, neighbor, tau):
    """Contrast of an image with one of its nearest nouns against all others: eq. 2.

    `q`, (b, c), and `p`, (m, c), are the assignments of images and of all nouns, and
    `neighbor`, (b,), is the noun drawn from each image's nearest nouns. The positive
    pair is left out of the denominator, as printed. `tau` is `tau_ia`.
    """
    return _contrast(linear(q, p) / tau, neighbor)


def prototype_alignment(rho_image, rho_text, tau):
    """Agreement of each pair of prototypes, compared with all other pairs: eq. 3.

    Assignments ``f_I(h^I)`` and ``f_S(h^S)`` are (c, c); row j belongs to prototype j.
    `tau` is `tau_pa`.

    As printed, the denominator holds the other pairs ``h_l^I . h_l^S``. The proof of
    Theorem 6 has ``h_j^I . h_l^S`` in places; that form was measured to lose clusters
    (34 of 37 left on Oxford pets), as image prototypes without a noun of their own
    share a text prototype and are then driven apart.
    """
    agreement = (rho_image * rho_text).sum(dim=1) / tau  # (c,)
    own = torch.arange(len(agreement), device=agreement.device)
    return _contrast(agreement.expand(len(own), -1), own)


def attention_weights(queries, keys):
    """Weights of each image's neighboring nouns, (b, k_S): eq. 4, softmax.

    Rows sum to 1. `queries`, (b, d), are ``W^I u_i`` and `keys`, (b, k_S, d), ``W^S
    v_j``; or queries are ``W^S^T W^I u_i`` and keys the nouns themselves.
    """
    return torch.einsum("bd,bkd->bk", queries, keys).softmax(dim=1)


def semantic_assignment(weights, p):
    """Assignment of an image, (b, c), as its neighboring nouns see it: eq. 4.

    `weights`, (b, k_S), are `attention_weights`, and `p`, (b, k_S, c), the assignments
    of the neighboring nouns.
    """
    return torch.einsum("bk,bkc->bc", weights, p)


def semantic_alignment(q, p_prime):
    """Cross-entropy of images against the pseudo-labels of their nouns: eqs. 5 and 6.

    `q`, (b, c), are the assignments of images and `p_prime`, (b, c), those by their
    nouns, whose arg max is the pseudo-label. The arg max of eq. 5 has no gradient, so
    `W^I`, `W^S` and `f_S` would learn nothing here. A straight-through estimator (not
    in the paper) passes the gradient of the one-hot label on to `p_prime`.
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
