"""What networks of several methods have in common: heads, centers, tokens."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from .._backend._products import pick_outputs

# Factor of the cosines with centers: the softmax of bare ones is flat.
CENTER_SCALE = 10.0


class LinearHeads(nn.Module):
    """Network whose `last_cluster_layers` have one output per cluster.

    The first of them takes ``head_inputs(x)``; its outputs, times `head_scale`, are
    added to the logits.
    """

    config: dict
    head_scale: float = 1.0

    def last_cluster_layers(self):
        """Return the linear layers that have one output per cluster."""
        raise NotImplementedError

    def permute_clusters(self, order):
        """Renumber the clusters: new cluster i is old cluster ``order[i]``."""
        for layer in self.last_cluster_layers():
            pick_outputs(layer, order)
        self.config["n_clusters"] = len(order)

    @torch.no_grad()
    def split_cluster(self, new, old, weight, bias):
        """Let cluster `new` have the logit of `old` plus ``inputs @ weight + bias``."""
        first, *others = self.last_cluster_layers()
        for layer in (first, *others):
            layer.weight[new] = layer.weight[old]
            layer.bias[new] = layer.bias[old]
        first.weight[new] += weight / self.head_scale
        first.bias[new] += bias / self.head_scale


class ClusterNetwork(LinearHeads):
    """Network with ``tokens(x)`` and ``forward(tokens)`` -> features, logits.

    Where no cluster head is trained (Table 7), a sample belongs to the nearest of some
    centers of instance features.
    """

    centers: torch.Tensor
    tokens: Callable  # of samples

    def features(self, x):
        """Instance features of samples, (n, d), unit rows."""
        return self(self.tokens(x))[0]

    def logits(self, x):
        """Cluster logits of samples, (n, k)."""
        features, logits = self(self.tokens(x))
        return CENTER_SCALE * features @ self.centers.T if len(self.centers) else logits

    def set_centers(self, centers):
        """Let the nearest of `centers`, rows of (k, d), be a sample's cluster."""
        self.centers = F.normalize(centers, dim=1)
        self.config["n_centers"] = len(centers)

    def permute_clusters(self, order):
        """Renumber the clusters: new cluster i is old cluster ``order[i]``."""
        if len(self.centers):
            self.centers = self.centers[order]
            self.config["n_centers"] = len(order)
        super().permute_clusters(order)


def pick(x, index):
    """Tokens `index`, int of shape (n, v), of each sample of x: (n, v, p)."""
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))


def mlp(width, n_outputs):
    """Return a head of two layers."""
    return nn.Sequential(
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_outputs)
    )
