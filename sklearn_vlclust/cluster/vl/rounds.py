"""The rounds of the fit: find the axes that separate the clusters, then cut again."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from ...metrics import clustering_accuracy
from ...training import StopTraining
from ..separate import separate_groups
from ..spectral.averaged_cuts import AveragedCuts, principal_components
from .recipe import VLRecipe


class Rounds(nn.Module):
    """Clusters of joint rows, refined in rounds.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float32
        Joint rows.
    images : ndarray of shape (n, d_images), float32
        The embeddings. If they form separate groups, these are the clusters.
    k : int
        Number of clusters.
    n_neighbors : int
        Largest number of nearest rows of a row in the graphs.
    device : torch.device
        Where rows are compared.
    rng : RandomState
        Draws where eigenvectors start.
    """

    labels: torch.Tensor

    def __init__(self, rows, images, k, n_neighbors, device, rng):
        super().__init__()
        components, self._mean, self._axes = principal_components(rows)
        self._cuts = AveragedCuts(components, rows.shape[1], n_neighbors, device)
        self._k, self._seed, self._kind = k, rng.randint(2**31 - 1), ""
        labels = separate_groups(images, k)
        if labels is None:
            labels, self._kind = self._cuts.start(k, rng)
        self.register_buffer("labels", torch.from_numpy(labels))

    def step(self, i):
        """Run round `i`, and return the share of rows that change their cluster."""
        if not self._kind:
            return 0.0
        old = self.labels.numpy()
        rng = np.random.RandomState((self._seed + i) % 2**32)
        new = self._cuts.sharpen(old, self._k, self._kind, rng)
        self.labels = torch.from_numpy(new)
        return 1 - clustering_accuracy(old, new)

    def teach(self, network):
        """Set the linear layer of `network` to classify the clusters."""
        weight, bias = self._cuts.classifier(self.labels.numpy(), self._k)
        weight = weight @ self._axes
        bias = bias - weight @ self._mean
        network.set_classifier(torch.from_numpy(weight), torch.from_numpy(bias))

    def run(self, network, max_epochs=None, checkpoint=None, after_epoch=()):
        """Run all rounds, and teach the network after each; return the history.

        The keywords are those of :func:`~sklearn_vlclust.training.train`. The
        ``"loss"`` of a round is the share of rows that changed.
        """
        if max_epochs is None:
            max_epochs = VLRecipe.in_use().n_rounds
        # What checkpoints and hooks look at in a skorch net.
        net = SimpleNamespace(
            module_=network,
            criterion_=self,
            optimizer_=torch.optim.SGD(network.parameters()),
            history=[],
        )
        if checkpoint:
            checkpoint.restore(net)
        while len(net.history) < max_epochs:
            if net.history and net.history[-1]["loss"] == 0:
                break
            changed = self.step(len(net.history))
            self.teach(network)
            net.history.append({"epoch": len(net.history) + 1, "loss": changed})
            if checkpoint:
                checkpoint.save(net)
            try:
                for hook in after_epoch:
                    hook(net)
            except StopTraining:
                break
        return [{name: row[name] for name in ("epoch", "loss")} for row in net.history]
