"""Docstring entries that are written once and inserted where they belong.

In a docstring, a line ``<device, verbose>`` stands for the numpydoc entries of these
names, and ``Parameters: <device, verbose>`` for a section that starts with them. The
decorator :func:`documented` puts them in.
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
<given> X : array-like of shape (n_samples, n_features), or images
    What `estimator` takes.
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

_INSERTION = re.compile(r"^( *)(?:(\w+): )?<(\w+(?:, \w+)*)>$", re.MULTILINE)
_ENTRY = re.compile(
    r"^(?:<(?P<key>\w+)> \S|(?P<name>\w+)(?:, \w+)* : ).*(?:\n+ {3}.*)*", re.MULTILINE
)


def documented(*sources: object) -> Callable[[T], T]:
    """Return a decorator that inserts entries into docstrings.

    Entries are looked up in `sources` and then in `SHARED`. Methods of a class find
    those that other methods of the class spell out, and those of its base classes.

    Parameters
    ----------
    *sources : functions and classes
        Their entries may be used: of functions for functions and methods, of classes
        for classes.

    Returns
    -------
    decorator : function
        For a function or a class, whose own methods are done with it. It returns the
        same object.

    Raises
    ------
    ValueError
        When decorating, if an entry is unknown, or methods of a class spell it out
        differently.
    """

    def decorate(thing: T) -> T:
        if not isclass(thing):
            _fill(thing, [*map(_entries, sources), _SHARED], thing)
            return thing
        package = _package(thing)
        own = [c for c in thing.__mro__ if _package(c) == package]
        _fill(thing, [*map(_entries, [*own[1:], *sources]), _SHARED], thing)
        scopes = [_joint_entries(_methods(c)) for c in own]
        scopes += [*map(_entries, sources), _SHARED]
        for method in _methods(thing):
            _fill(method, scopes, thing)
        return thing

    return decorate


def _fill(thing: Any, scopes: list[dict[str, str]], owner: Any) -> None:
    """Replace the insertions in the docstring of `thing`, if it has one."""

    def entries(match: re.Match) -> str:
        indent, section, names = match.groups()
        lines = [section, "-" * len(section)] if section else []
        for name in names.split(", "):
            found = next((scope[name] for scope in scopes if name in scope), None)
            if not found:
                raise ValueError(
                    f"{owner.__module__}.{owner.__qualname__}: <{name}> in a docstring "
                    "is no entry of sklearn_vlclust._docs.SHARED or of this class, or "
                    "one that its methods spell out differently."
                )
            lines += found.replace("<class>", owner.__name__).splitlines()
        return "\n".join(indent + line if line else "" for line in lines)

    doc = thing.__doc__
    if doc is None or not _INSERTION.search(doc := cleandoc(doc)):
        return
    filled = _INSERTION.sub(entries, doc)
    while thing is not None:  # wrappers have docstrings of their own
        thing.__doc__ = filled
        thing = getattr(thing, "__wrapped__", None) if not isclass(thing) else None


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
