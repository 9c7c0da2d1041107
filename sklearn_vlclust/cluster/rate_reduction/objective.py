"""The objective of CPP, (MLC) in the paper, and the batches it is computed on."""

import torch
from torch import nn
from torch.nn import functional as F

from ...metrics import cluster_coding_rate, coding_rate
from .membership import membership_residual, sinkhorn_membership


class RateReductionObjective(nn.Module):
    """``R_c(Z, Pi) - R(Z)``, to be minimized: (MLC), and ``-R(Z)`` to warm up: eq. 4.

    Parameters
    ----------
    eps : float
        Squared precision.
    gamma : float
        Entropy of the membership.
    n_columns : int or None
        Columns of the membership that stand for all.
    membership_penalty : float
        Weight of half the squared Frobenius norm of the membership; not in the paper
        but in the authors' code.
    warm_up : int
        Epochs of eq. 4, after which the cluster head becomes a copy of the feature
        head.
    generator : torch.Generator
        Draws the columns.
    """

    def __init__(
        self, *, eps, gamma, n_columns, membership_penalty, warm_up, generator
    ):
        super().__init__()
        self.eps, self.gamma = eps, gamma
        self.n_columns = n_columns
        self.membership_penalty = membership_penalty
        self.warm_up = warm_up
        self.generator = generator
        self._warm = warm_up == 0

    def phase(self, epoch):
        """Return the name of an epoch's phase."""
        return "warm-up" if epoch < self.warm_up else "train"

    def start_epoch(self, network, epoch):
        """End the warm-up in time."""
        self._warm = epoch >= self.warm_up
        if self.warm_up and epoch == self.warm_up:
            network.copy_feature_head()

    def forward(self, network, u, u_near=None):
        """Return the terms by name; ``"loss"`` is their weighted sum.

        A row and its neighbor are two views of one sample: they share their mean code,
        and so a row of the membership.
        """
        Z, C = network(u if u_near is None else torch.cat([u, u_near]))
        rate = coding_rate(Z, self.eps)
        if not self._warm:
            return {"loss": -rate, "coding_rate": rate}
        if u_near is not None:
            C = F.normalize(sum(C.chunk(2)), dim=1)
        Pi = sinkhorn_membership(C, self.gamma)
        cluster_rate = cluster_coding_rate(
            Z,
            Pi.repeat(len(Z) // len(C), 1),
            self.eps,
            self.n_columns,
            generator=self.generator,
        )
        penalty = Pi.square().sum() / 2
        return {
            "loss": cluster_rate - rate + self.membership_penalty * penalty,
            "coding_rate": rate,
            "cluster_coding_rate": cluster_rate,
            "membership_norm": penalty,
            "membership_residual": membership_residual(Pi),
        }
