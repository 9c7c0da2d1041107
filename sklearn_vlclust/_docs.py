"""Docstring entries that are written once and inserted where they belong.

In a docstring, a line ``<device, verbose>`` stands for the numpydoc entries of these
names, and ``Parameters: <device, verbose>`` for a section that starts with them. The
decorator :func:`documented` puts them in. An entry is written in `SHARED`, or once in a
class: its other methods and its subclasses then find it. If a name has several texts,
``<fit.X>`` takes the one in the method `fit`, and ``<shared.X>`` the one in `SHARED`.
"""

import re
from collections.abc import Callable, Iterator
from inspect import cleandoc, isclass
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")

# An entry begins with the name of what it documents. A key before it tells apart
# entries of one name.
SHARED = """
X : array-like of shape (n_samples, n_features), or images
    Embeddings (NumPy array, memmap, torch tensor, dask array, or a folder of
    `.npy` files; only the direction of a row counts), or images: a folder, a
    list or array of paths, PIL images, an array of shape (n_samples, height,
    width, channels), or a dask bag or array of these.
<given> X : array-like or images
    What `estimator` takes.
y : Ignored
    Not used, present for API consistency.
<fitted> self : object
    The fitted estimator.
<corrected> self : object
    The estimator, corrected.
<of_the_fit> X : array-like of shape (n_samples, n_features), or images, default=None
    What the estimator was fitted to. Not needed while the estimator holds it: until
    it is pickled, saved or loaded.
<learned> score : float
    :func:`~sklearn_vlclust.metrics.learned_information` of :meth:`predict`, in
    nats: higher is better, for methods and for numbers of clusters.
n_clusters : int, "auto" or None, default=8
    Number of clusters. "auto", or None, estimates it without labels from embeddings
    or, where there are none, small pixels; see
    :class:`~sklearn_vlclust.CodingLengthKSelector`.
<auto_n_clusters> n_clusters : int, "auto" or None, default="auto"
    Number of clusters. "auto", or None, estimates it without labels from embeddings
    or, where there are none, small pixels; see
    :class:`~sklearn_vlclust.CodingLengthKSelector`.
estimator : fitted clusterer
    Labels of `X` are its `predict`; of one that has none, such as
    `AgglomerativeClustering`, the `fit_predict` of a clone.
embedder : "auto", "offline", encoder instance or None, default=None
    Embeds images, texts and nouns that have no vector, where needed. If None,
    :class:`~sklearn_vlclust.CLIPEmbedder`; "offline"
    :class:`~sklearn_vlclust.OfflineEmbedder`; "auto" the former where its weights
    are here or can be fetched, else the latter, with a warning. An instance is
    cloned.
<auto_embedder> embedder : "auto", "offline", encoder instance or None, default="auto"
    Embeds images, texts and nouns that have no vector, where needed. If None,
    :class:`~sklearn_vlclust.CLIPEmbedder`; "offline"
    :class:`~sklearn_vlclust.OfflineEmbedder`; "auto" the former where its weights
    are here or can be fetched, else the latter, with a warning. An instance is
    cloned.
<pixel_embedder> embedder : None, "auto", "offline" or encoder instance, default=None
    If given, images are embedded by it, and their embeddings are clustered. If
    None, the network learns from the pixels, as in the paper.
vocabulary : "wordnet", Vocabulary or array-like of str, default="wordnet"
    Nouns to choose from. "wordnet" is :meth:`Vocabulary.from_wordnet`.
prompt : str, default="a photo of a {}"
    What the text encoder reads, with ``{}`` in place of the noun. The article
    before it follows the noun's first sound.
device : str or torch.device, default="auto"
    "auto" is CUDA, else MPS, else the CPU. Results are NumPy arrays in any case.
n_jobs : int, default=None
    Threads that decode images. If None, one per processor, at most 8; -1 means all
    processors.
verbose : int, default=0
    1 shows a progress bar.
eps : float, default=0.1
    Squared precision of the code (epsilon^2 in CPP).
Z : float tensor of shape (m, d)
    Features, one row per sample, of unit length.
labels_ : ndarray of shape (n_samples,), int64
    Cluster of each sample; cluster 0 is the largest.
n_clusters_ : int
    Number of clusters that have samples.
k_candidates_ : list of (int, float)
    The chosen number of clusters and at most three runner-ups, each with its score,
    best first.
k_values_ : ndarray of int
    Numbers of clusters that were compared.
image_paths_ : ndarray of str
    Paths of the images, one per label, if the fit was given paths or a folder.
embedder_ : encoder or None
    The encoder of the images, if one was needed.
n_features_in_ : int
    Width of the embeddings, or values per image.
feature_names_in_ : ndarray of str
    Names of the columns, if `X` had any.
<qiu2024> .. [1] Qiu, Zhang, Chen, Cai, "Multi-level Cross-modal Alignment for Image
   Clustering", AAAI 2024.
<drawn> display : <class>
    Drawn; :meth:`plot` draws it again elsewhere.
<itself> display : <class>
    Itself.
ax : matplotlib Axes, default=None
    Axes to draw on. If None, a new figure is made.
ax_ : matplotlib Axes
    Axes with the plot.
figure_ : matplotlib Figure
    Figure of these axes.
<centered> estimator : clusterer
    Fitted, with `cluster_centers_`; its `cluster_names_` are shown, if any.
<featuring> estimator : clusterer
    With `transform` and `predict`.
images : images
    Paths, PIL images or arrays, as encoders take them.
embeddings : array-like of shape (n_images, n_features), default=None
    Embeddings of `images`, for an estimator that was fitted on embeddings.
    If None, the estimator embeds the images, or reads those it learned from.
<image_labels> labels : array-like of shape (n_images,), int
    Cluster of each image, from 0; a negative one is noise.
<all_names> names : list of sequences of str, default=None
    Names of cluster 0, 1, ..., best first.
<shown_names> names : list of sequences of str
    Names of each cluster, best first; may be empty.
<chu2024> .. [1] Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image clustering via the
   principle of rate reduction in the age of pretrained models", ICLR 2024.
"""

_NAME = r"\w+(?:\.\w+)?"
_INSERTION = re.compile(rf"^( *)(?:(\w+): )?<({_NAME}(?:, {_NAME})*)>$", re.MULTILINE)
_ENTRY = re.compile(
    r"^(?:<(?P<key>\w+)> \S|(?P<name>\w+)(?:, \w+)* : ).*(?:\n+ {3}.*)*", re.MULTILINE
)


def documented(*sources: object) -> Callable[[T], T]:
    """Return a decorator that inserts entries into the docstrings of what it is given.

    Parameters
    ----------
    *sources : functions
        Their entries may be used besides.

    Returns
    -------
    decorator : function
        For a function or a class, whose own methods are done with it. It returns the
        same object.

    Raises
    ------
    ValueError
        When decorating, if an entry is unknown, or has several texts.
    """

    def decorate(thing: T) -> T:
        given = [_entries(source) for source in sources]
        if not isclass(thing):
            _fill(thing, given, thing)
            return thing
        ours = [c for c in thing.__mro__ if _package(c) == _package(thing)]
        _fill(thing, [_entries(base) for base in ours[1:]] + given, thing)
        own, *inherited = (_joint_entries(_methods(c)) for c in ours)
        # Methods of a base may have another text for a name that is shared.
        of_methods = [own]
        for entries in inherited:
            kept = {name: entries[name] for name in entries if name not in _SHARED}
            of_methods.append(kept)
        for method in _methods(thing):
            _fill(method, of_methods + given, thing)
        return thing

    return decorate


def _fill(thing: Any, scopes: list[dict[str, str]], owner: Any) -> None:
    """Replace the insertions in the docstring of `thing`, if it has one."""

    def entries(match: re.Match) -> str:
        indent, section, names = match.groups()
        lines = [section, "-" * len(section)] if section else []
        for name in names.split(", "):
            lines += _find(name, scopes, owner).splitlines()
        return "\n".join(indent + line if line else "" for line in lines)

    doc = thing.__doc__
    if doc is None or not _INSERTION.search(doc := cleandoc(doc)):
        return
    filled = _INSERTION.sub(entries, doc)
    while thing is not None:  # wrappers have docstrings of their own
        thing.__doc__ = filled
        thing = getattr(thing, "__wrapped__", None) if not isclass(thing) else None


def _find(name: str, scopes: list[dict[str, str]], owner: Any) -> str:
    """Return the entry that ``<name>`` stands for."""
    method, _, key = name.rpartition(".")
    if method:
        text = (_SHARED if method == "shared" else _entries(vars(owner)[method]))[key]
    else:
        found = next((scope[key] for scope in scopes if key in scope), None)
        text = _SHARED.get(key, found or "")
        if not text or found not in (None, text):
            raise ValueError(
                f"{owner.__module__}.{owner.__qualname__}: <{name}> in a docstring has "
                f"{'no' if not text and found is None else 'more than one'} text in "
                "sklearn_vlclust._docs.SHARED and in this class."
            )
    return text.replace("<class>", owner.__name__)


def _methods(owner: type) -> Iterator[Any]:
    """Yield the functions, class methods and properties that a class defines."""
    for member in vars(owner).values():
        if isinstance(member, FunctionType | classmethod | staticmethod | property):
            yield member


def _entries(thing: Any) -> dict[str, str]:
    """Return the entries that a docstring spells out, by name."""
    found = _ENTRY.finditer(cleandoc(thing.__doc__ or ""))
    return {m["name"]: m[0] for m in found if m["name"]}


def _joint_entries(things: Iterator[Any]) -> dict[str, str]:
    """Return the entries of several docstrings; one that differs is empty."""
    joint: dict[str, str] = {}
    for thing in things:
        for name, text in _entries(thing).items():
            joint[name] = text if joint.get(name, text) == text else ""
    return joint


def _package(thing: Any) -> str:
    return thing.__module__.partition(".")[0]


_SHARED = {
    m["key"] or m["name"]: m[0].removeprefix(f"<{m['key']}> ")
    for m in _ENTRY.finditer(SHARED)
}
