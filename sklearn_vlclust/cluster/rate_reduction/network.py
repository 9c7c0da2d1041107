"""The trainable parts of CPP: pre-feature layer, feature head and cluster head."""

import torch
from torch import nn
from torch.nn import functional as F

from ..._backend._products import Linear, linear, linear_of_directions

# Factor of the cosines between features and clusters: the softmax of bare ones is flat.
LOGIT_SCALE = 10.0


class RateReductionNetwork(nn.Module):
    """Features `Z` and codes `C` of unit rows, and the clusters they are cut into.

    The pre-feature layer is as in Table 7a, or a fixed projection on principal axes:
    then both heads are linear maps of the embeddings (not in the paper).

    Parameters
    ----------
    n_features, n_components : int
        Width of the embeddings, and width `d` of features and codes.
    hidden_dim : int or None, default=None
        Width of the trained pre-feature layer. If None, the fixed projection.
    n_axes : int, default=0
        Number of axes of the projection.
    n_clusters, n_directions : int, default=1, 1
        Number of clusters, and of directions per cluster.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    directions: torch.Tensor

    def __init__(
        self,
        n_features,
        n_components,
        hidden_dim=None,
        n_axes=0,
        n_clusters=1,
        n_directions=1,
    ):
        super().__init__()
        self.config = {
            "n_features": n_features,
            "n_components": n_components,
            "hidden_dim": hidden_dim,
            "n_axes": n_axes,
            "n_clusters": n_clusters,
            "n_directions": n_directions,
        }
        self.pre_feature = None
        if hidden_dim is not None:
            self.pre_feature = nn.Sequential(
                Linear(n_features, hidden_dim),
                nn.BatchNorm1d(hidden_dim),
                nn.ReLU(),
                Linear(hidden_dim, hidden_dim),
                nn.ReLU(),
            )
        width = n_axes if hidden_dim is None else hidden_dim
        self.feature_head = Linear(width, n_components)
        self.cluster_head = Linear(width, n_components)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("axes", torch.zeros(n_axes, n_features))
        shape = n_clusters, n_directions, n_components
        self.register_buffer("directions", torch.zeros(shape))

    def features(self, x, norms=None):
        """`Z`: features of rows, (n, d), unit rows.

        Rows that are not of unit length come with their lengths, (n,), here and below.
        """
        return F.normalize(self._apply_head(self.feature_head, x, norms), dim=1)

    def codes(self, x, norms=None):
        """`C`: codes of rows, from which the membership comes, (n, d)."""
        return F.normalize(self._apply_head(self.cluster_head, x, norms), dim=1)

    def forward(self, u):
        """Features and codes of unit rows: two tensors of unit rows, (n, d)."""
        if self.pre_feature is None:
            return self.features(u), self.codes(u)
        hidden = self.pre_feature(u)
        return (
            F.normalize(self.feature_head(hidden), dim=1),
            F.normalize(self.cluster_head(hidden), dim=1),
        )

    def logits(self, x, norms=None):
        """Cluster logits of rows, (n, k)."""
        return self.classify(self._apply_head(self.feature_head, x, norms))

    def classify(self, features):
        """Cosine with the nearest direction of each cluster, times a scale, (n, k).

        Features of any length: the cosines are divided by it, as they are fewer.
        """
        products = linear(features, self.directions.flatten(0, 1))
        nearest = products.unflatten(1, self.directions.shape[:2]).amax(2)
        lengths = torch.linalg.vector_norm(features, dim=1).clamp(min=1e-12)
        return nearest.mul_((LOGIT_SCALE / lengths)[:, None])

    def _apply_head(self, head, x, norms):
        """Features or codes of any length."""
        if self.pre_feature is not None:
            return head(self.pre_feature(x if norms is None else x / norms[:, None]))
        # One matrix for centering, axes and head: (d, n_features).
        weight = head.weight @ self.axes
        bias = head.bias - weight @ self.mean
        return linear_of_directions(x, norms, weight, bias)

    @torch.no_grad()
    def start_at_axes(self, mean, axes):
        """Project on `axes`, (n_axes, n_features); features are the first `d`."""
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        for head in (self.feature_head, self.cluster_head):
            nn.init.eye_(head.weight)
            head.bias.zero_()

    @torch.no_grad()
    def start_at_random(self, generator):
        """Draw all weights as torch does, from `generator`."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.uniform_(-bound, bound, generator=generator)

    @torch.no_grad()
    def copy_feature_head(self):
        """Let codes start as features: the initialization of `Pi` after eq. 4."""
        self.cluster_head.load_state_dict(self.feature_head.state_dict())

    def set_clusters(self, directions):
        """Set the clusters by directions of features, (k, n_directions, d)."""
        self.directions = directions
        n_clusters, n_directions, _ = directions.shape
        self.config |= {"n_clusters": n_clusters, "n_directions": n_directions}

    def permute_clusters(self, order):
        """Renumber the clusters: new cluster i is old cluster ``order[i]``."""
        self.set_clusters(self.directions[order])
