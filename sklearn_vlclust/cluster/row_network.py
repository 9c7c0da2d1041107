"""The network on embeddings: groups of principal axes as tokens (not in the paper).

Transformers with random weights lose the similarity structure of embeddings, and a few
thousand samples do not restore it. So each map here is a linear one that keeps it, plus
a perceptron whose last layer starts at zero. Attention between the groups was measured
to add nothing: the encoder sees all visible groups at once.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .._backend._products import Linear, linear
from .axes import half_whitening
from .networks import ClusterNetwork, pick
from .partition import draw_sample, partition, partition_centers
from .recipe import CommonRecipe

# Factor of the cluster logits, which start as distances of unit rows.
LOGIT_SCALE = 10.0


class EmbeddingNetwork(ClusterNetwork):
    """Masked auto-encoder of groups of principal axes, instance and cluster head.

    Groups are the tokens; group t has the axes t, t + n_groups, ..., a share of the
    large and of the small ones. Without a decoder, masked groups cannot be predicted.
    For `n_centers` see :class:`ClusterNetwork`.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    spread: torch.Tensor
    head_scale = LOGIT_SCALE

    def __init__(
        self,
        n_features,
        n_axes,
        n_groups,
        n_clusters,
        instance_dim,
        n_centers=0,
        has_decoder=True,
    ):
        super().__init__()
        self.config = {
            "n_features": n_features,
            "n_axes": n_axes,
            "n_groups": n_groups,
            "n_clusters": n_clusters,
            "instance_dim": instance_dim,
            "n_centers": n_centers,
        }
        self.group_size = -(-n_axes // n_groups)
        self.width = width = n_groups * self.group_size
        self.encoder = _perceptron(width, 2 * width, width, nn.GELU())
        if has_decoder:
            self.decoder = _perceptron(width, 2 * width, width, nn.GELU())
        self.instance = Linear(width, instance_dim)
        self.instance_mlp = _perceptron(width, width, instance_dim, nn.ReLU())
        self.cluster = Linear(width, n_clusters)
        self.cluster_mlp = _perceptron(width, width, n_clusters, nn.ReLU())
        self.register_buffer("mean", torch.empty(n_features))
        self.register_buffer("axes", torch.empty(width, n_features))
        self.register_buffer("spread", torch.empty(()))
        self.register_buffer("centers", torch.zeros(n_centers, instance_dim))

    @torch.no_grad()
    def start(self, generator, mean, axes):
        """Start at half-whitened axes, (n_axes, n_features); draw the perceptrons."""
        self.mean.copy_(mean)
        padded = torch.zeros(self.width, axes.shape[1])
        padded[: len(axes)] = axes
        grid = padded.view(self.group_size, -1, axes.shape[1])
        self.axes.copy_(grid.transpose(0, 1).flatten(0, 1))
        self.spread.fill_(1.0)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
        for perceptron in (self.encoder, self.instance_mlp, self.cluster_mlp):
            nn.init.zeros_(perceptron[-1].weight)
        nn.init.eye_(self.instance.weight)

    @torch.no_grad()
    def start_at_partition(self, u, rng):
        """Scale tokens, and start the cluster head at a partition of unit rows."""
        k = self.config["n_clusters"]
        x = self.tokens(u).flatten(1)
        self.spread.fill_(x.norm(dim=1).mean().clamp_min(1e-12))
        unit = F.normalize(x, dim=1).numpy()
        labels = partition(unit, k, CommonRecipe.in_use().n_init, rng)
        centers = partition_centers(unit, labels, k, rng)
        self.start_clusters(torch.from_numpy(centers))

    @torch.no_grad()
    def start_clusters(self, centers):
        """Start the cluster head at the nearest of centers of tokens, (k, width)."""
        self.cluster.weight.copy_(centers)
        self.cluster.bias.copy_(-centers.square().sum(dim=1) / 2)

    def tokens(self, u):
        """Groups of half-whitened axes of unit rows, (n, L, g)."""
        weight = self.axes / self.spread
        x = linear(u, weight, -weight @ self.mean)
        return x.view(len(u), -1, self.group_size)

    def samples(self, tokens):
        """Embeddings that have these tokens, (n, n_features): inverse of `tokens`."""
        squares = self.axes.square().sum(dim=1).clamp_min(1e-12)
        x = tokens.flatten(1) * (self.spread / squares)
        return linear(x, self.axes.T, self.mean)

    def standardize(self, tokens):
        """Tokens scaled for reconstruction: entries of about unit variance."""
        return tokens * self.width**0.5

    def restore(self, x):
        """Undo `standardize`."""
        return x / self.width**0.5

    def encode(self, x, visible=None, class_only=False):
        """Encode standardized tokens, (n, L, g), to (n, width).

        Masked groups are zero, and the visible ones scaled up. `class_only` is for
        networks whose tokens are encoded apart.
        """
        x = self.restore(x)
        if visible is not None:
            factor = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
            share = x.shape[1] / visible.shape[1]
            x = x * factor.scatter(1, visible, share)[:, :, None]
        h = x.flatten(1)
        return h + self.encoder(h)

    def decode(self, encoded, visible, masked):
        """Predict the groups `masked`, (n, L - v, g)."""
        tokens = self.decoder(encoded).view(len(encoded), -1, self.group_size)
        return pick(tokens, masked)

    def project(self, encoded):
        """Instance features, unit rows of (n, d), and cluster logits, (n, k)."""
        z = self.instance(encoded) + self.instance_mlp(encoded)
        cosines = self.cluster(F.normalize(encoded, dim=1))
        logits = LOGIT_SCALE * (cosines + self.cluster_mlp(encoded))
        return F.normalize(z, dim=1), logits

    def forward(self, tokens):
        """Instance features and cluster logits of tokens, nothing masked."""
        return self.project(self.encode(self.standardize(tokens)))

    def head_inputs(self, u):
        """Inputs of the cluster head's linear layer for unit rows, (n, width)."""
        return F.normalize(self.encode(self.standardize(self.tokens(u))), dim=1)

    def last_cluster_layers(self):
        """Return the linear layers whose sum is the cluster logits."""
        return self.cluster, self.cluster_mlp[-1]


def _perceptron(n_in, hidden, n_out, activation):
    norm = nn.LayerNorm(n_in, elementwise_affine=False)
    return nn.Sequential(norm, Linear(n_in, hidden), activation, Linear(hidden, n_out))


def start_network(rows, n_clusters, n_groups, instance_dim, rng, generator):
    """Return a network that starts at principal axes and at a partition of them.

    There are at most `n_groups` groups of axes. If `instance_dim` is None, it is the
    number of axes. `rng` draws the starts of the partition, `generator` the
    perceptrons.
    """
    n_axes = CommonRecipe.in_use().n_axes
    mean, axes = half_whitening(rows, n_axes)
    axes = axes[:n_axes]
    groups = min(n_groups, len(axes))
    width = groups * -(-len(axes) // groups)
    network = EmbeddingNetwork(
        rows.shape[1], len(axes), groups, n_clusters, instance_dim or width
    )
    network.start(generator, torch.from_numpy(mean), torch.from_numpy(axes))
    sample = draw_sample(len(rows), n_clusters, rng)
    network.start_at_partition(torch.from_numpy(rows[sample]), rng)
    return network
