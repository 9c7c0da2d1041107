"""Words beside images, for every clusterer on embeddings (not in the papers).

Each image is joined with the mixture of nouns that it resembles, weighted by how much
the nouns help to distinguish images, measured without labels.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import clone
from torch import nn

from .._backend._products import linear
from .._compat import StrOptions
from ..metrics._clusters import cluster_means
from ..semantics import SemanticSpace, Vocabulary
from ..semantics._space import fit_space
from ..semantics.mixture import NounMixture, top_mixture
from ._word_weight import weigh_words
from .joint import JointRows, StandardRows
from .partition import kmeans
from .recipe import WordRecipe

# What the parameter `semantic_space` of a clusterer may be.
SEMANTIC_SPACE = [
    StrOptions({"wordnet"}),
    Vocabulary,
    SemanticSpace,
    "array-like",
    None,
]


@dataclass
class Words:
    """Nouns for images, and how much they help.

    Attributes
    ----------
    images : StandardRows of shape (n, d)
        The images, standardized.
    space : SemanticSpace or None
        The fitted space; None without words, as are the next two.
    mixture : NounMixture or None
        Mixtures of its nouns, one per image.
    texts : StandardRows of shape (n, d) or None
        The mixtures, standardized.
    weight : float
        How far the nouns are trusted, between 0 and 1.
    """

    images: StandardRows
    space: SemanticSpace | None = None
    mixture: NounMixture | None = None
    texts: StandardRows | None = None
    weight: float = 0.0

    @property
    def nouns(self):
        """Vectors of the nouns, (m, d); m is 0 without words."""
        return self.mixture.nouns if self.mixture else np.empty((0, 0), np.float32)


def find_words(
    semantic_space,
    rows,
    sample,
    k,
    rng,
    *,
    embedder=None,
    weight="auto",
    perplexity=None,
    min_nouns=1,
    device="cpu",
):
    """Fit the semantic space given by a parameter, and weigh its nouns.

    Parameters
    ----------
    semantic_space : "wordnet", Vocabulary, SemanticSpace, array-like of str or None
        The user's parameter. A space is cloned.
    rows : UnitRows of shape (n, d)
        Images.
    sample : index array or slice
        The images that the nouns are selected and weighed by.
    k : int
        Number of clusters that nouns are selected for.
    rng : RandomState
        Draws starts of k-means.
    embedder : encoder, str or None, default=None
        Encodes nouns without vectors, if the space has no encoder itself.
    weight : "auto" or float, default="auto"
        How far the nouns are trusted; "auto" measures it.
    perplexity : float, default=None
        Effective number of nouns in a mixture. If None, the recipe's.
    min_nouns : int, default=1
        Smallest number of nearest nouns per image that the caller needs.
    device : torch.device or str, default="cpu"
        Where images and nouns are compared.

    Returns
    -------
    words : Words
    """
    recipe, images = WordRecipe.in_use(), StandardRows(rows)
    if semantic_space is None or not _has_words(semantic_space, embedder):
        return Words(images)
    labels = kmeans(images[sample], k, rng).labels_
    space = semantic_space
    if not isinstance(space, SemanticSpace):
        space = SemanticSpace(space)
    space = clone(space).set_params(n_clusters=k, random_state=rng.randint(2**31 - 1))
    if space.embedder is None and _encodes_words(embedder):
        space.embedder = embedder
    fit_space(space, rows, cluster_means(rows[sample], labels, k))
    perplexity = perplexity or recipe.perplexity
    mixture = NounMixture(rows, space.embeddings_, perplexity, min_nouns, device)
    texts = StandardRows(mixture)
    if weight == "auto":
        weight = weigh_words(images[sample], texts[sample], k, rng)
    return Words(images, space, mixture, texts, float(weight))


def _encodes_words(embedder):
    """Whether what the parameter `embedder` stands for knows words."""
    if embedder is None or isinstance(embedder, str):
        return True
    return hasattr(embedder, "encode_texts") or hasattr(embedder, "encode_nouns")


def _has_words(semantic_space, embedder):
    """Whether there are vectors of nouns, or an encoder that makes them.

    Warns
    -----
    UserWarning
        If there are none: the encoder is of images alone.
    """
    vocabulary = semantic_space
    if isinstance(semantic_space, SemanticSpace):
        vocabulary = semantic_space.vocabulary
        if semantic_space.embedder is not None:
            embedder = semantic_space.embedder
    has_vectors = getattr(vocabulary, "embeddings", None) is not None
    if has_vectors or _encodes_words(embedder):
        return True
    warnings.warn(
        f"{type(embedder).__name__} knows no words: images are clustered without them, "
        "and the clusters get no names. semantic_space=None is the same without this "
        "warning.",
        UserWarning,
        stacklevel=7,
    )
    return False


class JointEmbedding(nn.Module):
    """Unit rows [image; weight x noun mixture] of images, as a module for inference.

    Both parts are standardized first, as by
    :class:`~sklearn_vlclust.cluster.joint.StandardRows`.

    Parameters
    ----------
    n_features, n_nouns : int
        Width of the embeddings, and number of nouns; with 0 nouns the rows are the
        images alone.
    weight : float, default=0.0
        Length of the mixtures relative to the images.
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
        near, weights = top_mixture(linear(u, self.nouns), self.config["temperature"])
        mixtures = nn.functional.embedding_bag(
            near, self.nouns, per_sample_weights=weights, mode="sum"
        )
        texts = (mixtures - self.text_mean) / self.text_spread
        joint = torch.cat([images, self.config["weight"] * texts], dim=1)
        return nn.functional.normalize(joint, dim=1)

    def images_of(self, joint):
        """Recover the images, unit rows of (n, d), approximately from joint rows."""
        images = nn.functional.normalize(joint[:, : self.config["n_features"]], dim=1)
        return nn.functional.normalize(
            images * self.image_spread + self.image_mean, dim=1
        )


def join(words, mixture_weight=None):
    """Join images with their noun mixtures, as far as these are trusted.

    At full weight, a mixture has the length `mixture_weight` relative to its image,
    by default the recipe's. Returns the unit rows and the :class:`JointEmbedding` that
    makes such rows of any images.
    """
    images, texts = words.images, words.texts
    if mixture_weight is None:
        mixture_weight = WordRecipe.in_use().mixture_weight
    d, weight = images.shape[1], mixture_weight * words.weight
    if weight == 0:
        embedding, parts, weights = JointEmbedding(d), [images], [1.0]
    else:
        nouns = words.nouns
        embedding = JointEmbedding(d, len(nouns), weight, words.mixture.temperature)
        embedding.nouns.copy_(torch.from_numpy(nouns))
        embedding.text_mean.copy_(torch.from_numpy(texts.mean))
        embedding.text_spread.fill_(float(texts.spread))
        parts, weights = [images, texts], [1.0, weight]
    embedding.image_mean.copy_(torch.from_numpy(images.mean))
    embedding.image_spread.fill_(float(images.spread))
    return JointRows(parts, weights).unit(), embedding.requires_grad_(False).eval()
