"""The linear classifier that new images get their clusters from."""

import torch

from ..._backend._products import Linear
from ..networks import LinearHeads


class VLNetwork(LinearHeads):
    """Log posteriors of the clusters, linear in the joint rows.

    Parameters
    ----------
    n_features, n_clusters : int
        Width of the joint rows, and number of clusters.
    """

    def __init__(self, n_features, n_clusters):
        super().__init__()
        self.config = {"n_features": n_features, "n_clusters": n_clusters}
        self.head = Linear(n_features, n_clusters)

    def logits(self, x, norms=None):
        """Log posteriors of joint rows up to a constant: (n, d) -> (n, c)."""
        return self.head(x)

    def head_inputs(self, x, norms=None):
        """What the logits are linear in: the joint rows."""
        return x

    @torch.no_grad()
    def set_classifier(self, weight, bias):
        """Set the weights, (c, d), and biases, (c,)."""
        self.head.weight.copy_(weight)
        self.head.bias.copy_(bias)

    def last_cluster_layers(self):
        """Return the linear layer."""
        return (self.head,)
