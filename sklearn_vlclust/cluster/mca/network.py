"""The trainable parts of MCA: two linear heads and the attention between them."""

import torch
from torch import nn

from ..._backend._products import Linear, linear, linear_of_directions
from ..networks import LinearHeads
from .losses import attention_weights


class MCANetwork(LinearHeads):
    """Heads `f_I`, `f_S` and attention matrices `W^I`, `W^S`.

    Each modality is centered and scaled before its head: the mean image and the mean
    noun of CLIP lie far apart (the modality gap), and unit rows need a logit scale for
    the softmax to move at all. Neither is in the paper.

    Parameters
    ----------
    n_features, n_clusters : int
        d and c.
    logit_scale : float, default=10.0
        Factor of the logits of both heads.
    attention_scale : float, default=100.0
        Factor of the attention logits.
    """

    image_mean: torch.Tensor
    image_spread: torch.Tensor
    text_mean: torch.Tensor
    text_spread: torch.Tensor

    def __init__(self, n_features, n_clusters, logit_scale=10.0, attention_scale=100.0):
        super().__init__()
        self.config = {
            "n_features": n_features,
            "n_clusters": n_clusters,
            "logit_scale": logit_scale,
            "attention_scale": attention_scale,
        }
        self.image_head = Linear(n_features, n_clusters)
        self.text_head = Linear(n_features, n_clusters)
        # The identity: at the start, attention is the cosine of CLIP.
        self.image_query = nn.Parameter(torch.eye(n_features))  # W^I
        self.text_key = nn.Parameter(torch.eye(n_features))  # W^S
        for modality in ("image", "text"):
            self.register_buffer(f"{modality}_mean", torch.zeros(n_features))
            self.register_buffer(f"{modality}_spread", torch.ones(()))

    def standardize_nouns(self, v):
        """Center and scale rows in the space of nouns, (m, d)."""
        return (v - self.text_mean) / self.text_spread

    def logits(self, x, norms=None):
        """Cluster logits of image rows: (n, d) -> (n, c).

        Rows that are not of unit length come with their lengths, (n,): the logits are
        divided then, as they are fewer than the features.
        """
        return self._head_logits(
            self.image_head, x, self.image_mean, self.image_spread, norms
        )

    def assign_images(self, u):
        """``f_I``: soft assignments `q` of unit image rows, (n, c)."""
        return self.logits(u).softmax(dim=1)

    def assign_nouns(self, v):
        """``f_S``: soft assignments `p` of unit noun rows, (m, c)."""
        logits = self._head_logits(self.text_head, v, self.text_mean, self.text_spread)
        return logits.softmax(dim=1)

    def _head_logits(self, head, x, mean, spread, norms=None):
        """Apply a head to ``(x - mean) / spread``, folded into the head's weights."""
        scale = self.head_scale
        weight = head.weight * (scale / spread)
        bias = scale * head.bias - weight @ mean
        return linear_of_directions(x, norms, weight, bias)

    def attend(self, u, nouns, near):
        """Attention of images (b, d) to their nearest of the nouns (m, d): eq. 4.

        ``(W^I u)^T W^S v = (W^S^T W^I u)^T v = u^T (W^I^T W^S v)``: both matrices are
        applied to the images, or to the nouns where that is less work.
        """
        scale, (b, d), m = self.config["attention_scale"], u.shape, len(nouns)
        if m * (2 * d + b) < 2 * b * d:
            keys = linear(linear(nouns, self.text_key), self.image_query.T)
            return (scale * linear(u, keys).gather(1, near)).softmax(dim=1)
        queries = linear(linear(u, self.image_query), self.text_key.T)
        return attention_weights(scale * queries, nouns[near])

    @torch.no_grad()
    def start_head(self, head, centers):
        """Make `head` the nearest-center classifier of standardized `centers`, (c, d).

        Its logits are minus half the squared distance, up to a constant per row.
        """
        head.weight.copy_(centers)
        head.bias.copy_(-centers.square().sum(dim=1) / 2)

    def last_cluster_layers(self):
        """Return the heads, that of images first."""
        return self.image_head, self.text_head

    @property
    def head_scale(self):  # type: ignore[override]
        """Factor of the logits of both heads."""
        return self.config["logit_scale"]

    def head_inputs(self, x, norms=None):
        """Inputs of the image head, see `split_cluster`, (n, d)."""
        x = x if norms is None else x / norms[:, None]
        return (x - self.image_mean) / self.image_spread
