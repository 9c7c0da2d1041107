"""Words beside images, for every clusterer on embeddings (not in the papers).

Each image is joined with the mixture of nouns that it resembles, weighted by how far
the nouns help to tell images apart, which is measured without labels.
"""

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from .._compat import StrOptions
from ..metrics._clusters import cluster_means
from ..semantics import SemanticSpace, Vocabulary
from ..semantics._mixture import NounMixture, top_mixture
from ..training._products import linear
from ._joint import JointRows, StandardRows

# Length of a noun mixture beside that of its image, at full weight.
MIXTURE_WEIGHT = 0.7
# Effective number of nouns in a mixture.
PERPLEXITY = 5.0

# What the parameter `semantic_space` of a clusterer may be.
SEMANTIC_SPACE = [
    StrOptions({"wordnet"}),
    Vocabulary,
    SemanticSpace,
    "array-like",
    None,
]


def fit_space(semantic_space, embedder, rows, centers, rng):
    """Fit the semantic space that a parameter stands for.

    Parameters
    ----------
    semantic_space : "wordnet", Vocabulary, SemanticSpace or array-like of str
        What the user gave. A space is cloned.
    embedder : encoder, str or None
        Makes vectors of nouns that have none, where the space has no encoder itself.
    rows : UnitRows of shape (n, d)
        Images.
    centers : ndarray of shape (k, d)
        Means of clusters of the images.
    rng : RandomState
        Source of the space's own seed.

    Returns
    -------
    space : SemanticSpace
    """
    space = semantic_space
    if not isinstance(space, SemanticSpace):
        space = SemanticSpace(space)
    space = clone(space).set_params(
        n_clusters=len(centers), random_state=rng.randint(2**31 - 1)
    )
    if space.embedder is None:
        space.embedder = embedder
    space._validate_params()
    return space._fit_rows(rows, centers)


class JointEmbedding(nn.Module):
    """Unit rows [image; weight x noun mixture] of images, as a module for inference.

    Both parts are brought to mean zero and mean squared length one before, as
    :class:`~sklearn_vlclust.cluster._joint.StandardRows` does.

    Parameters
    ----------
    n_features, n_nouns : int
        Width of the embeddings, and number of nouns; none, and the rows are those of
        the images alone.
    weight : float, default=0.0
        Length of the mixtures beside the images.
    temperature : float, default=1.0
        Of the softmax over nouns.
    """

    image_mean: torch.Tensor
    image_spread: torch.Tensor
    text_mean: torch.Tensor
    text_spread: torch.Tensor
    nouns: torch.Tensor

    def __init__(self, n_features, n_nouns=0, weight=0.0, temperature=1.0):
        super().__init__()
        self.config = {
            "n_features": n_features,
            "n_nouns": n_nouns,
            "weight": weight,
            "temperature": temperature,
        }
        for modality in ("image", "text"):
            self.register_buffer(f"{modality}_mean", torch.zeros(n_features))
            self.register_buffer(f"{modality}_spread", torch.ones(()))
        self.register_buffer("nouns", torch.zeros(n_nouns, n_features))

    @property
    def width(self):
        """Number of columns of the joint rows."""
        return self.config["n_features"] * (1 + bool(self.config["n_nouns"]))

    def forward(self, x, norms=None):
        """Return joint rows of unit length, (n, width), of rows of any length."""
        u = x if norms is None else x / norms[:, None]
        images = (u - self.image_mean) / self.image_spread
        if not self.config["n_nouns"]:
            return nn.functional.normalize(images, dim=1)
        near, weights = top_mixture(
            linear(u, self.nouns), self.config["temperature"]
        )
        mixtures = nn.functional.embedding_bag(
            near, self.nouns, per_sample_weights=weights, mode="sum"
        )
        texts = (mixtures - self.text_mean) / self.text_spread
        joint = torch.cat([images, self.config["weight"] * texts], dim=1)
        return nn.functional.normalize(joint, dim=1)


def join(rows, nouns, weight, device, mixture=None):
    """Join images with their noun mixtures.

    Parameters
    ----------
    rows : UnitRows of shape (n, d)
        Images.
    nouns : ndarray of shape (m, d)
        Unit rows; m may be 0.
    weight : float
        How far the nouns are trusted, between 0 and 1.
    device : torch.device
        Where images and nouns are compared.
    mixture : NounMixture, default=None
        That of the images and the nouns, if it is known.

    Returns
    -------
    joint : JointRows of shape (n, width)
        Unit rows.
    embedding : JointEmbedding
        The same for any images.
    """
    images = StandardRows(rows)
    d, weight = rows.shape[1], MIXTURE_WEIGHT * weight
    if not len(nouns) or weight == 0:
        embedding, parts, weights = JointEmbedding(d), [images], [1.0]
    else:
        mixture = mixture or NounMixture(rows, nouns, PERPLEXITY, device=device)
        texts = StandardRows(mixture)
        embedding = JointEmbedding(d, len(nouns), weight, mixture.temperature)
        embedding.nouns.copy_(torch.from_numpy(nouns))
        embedding.text_mean.copy_(torch.from_numpy(texts.mean))
        embedding.text_spread.fill_(float(texts.spread))
        parts, weights = [images, texts], [1.0, weight]
    embedding.image_mean.copy_(torch.from_numpy(images.mean))
    embedding.image_spread.fill_(float(images.spread))
    return JointRows(parts, weights).unit(), embedding.requires_grad_(False).eval()
