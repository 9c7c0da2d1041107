"""Entries of docstrings that are written once and inserted."""

import re
import subprocess
import sys
from functools import wraps
from inspect import cleandoc, signature

import pytest

from sklearn_vlclust._docs import SHARED, documented
from tests.docs._public import public_methods, public_objects

UNFILLED = re.compile(r"^\s*(\w+: )?<[\w, ]+>$", re.MULTILINE)
ENTRY = re.compile(r"^(\w+ : .*)\n((?: {4}.*\n)+)", re.MULTILINE)


def public_docstrings():
    """Return the docstrings of all public objects and their methods, by name."""
    docs = {}
    for name, thing in public_objects().items():
        docs[name] = thing.__doc__
        for method in public_methods(name, thing):
            docs[method] = getattr(thing, method.rpartition(".")[2]).__doc__
    return {name: cleandoc(doc) + "\n" for name, doc in docs.items() if doc}


DOCS = public_docstrings()


def test_no_insertion_is_left():
    assert len(DOCS) > 100
    left = [name for name, doc in DOCS.items() if UNFILLED.search(doc)]
    assert not left


def test_what_is_shared_reads_the_same_everywhere():
    shared = dict(ENTRY.findall(SHARED))
    seen = set()
    for name, doc in DOCS.items():
        for head, text in ENTRY.findall(doc):
            if head in shared:
                assert text == shared[head], name
                seen.add(head)
    assert seen == set(shared)  # nothing is kept that nobody uses


def shown(rows, y=None):
    """Show rows.

    Parameters
    ----------
    rows : array
        Rows, of whatever kind.

        - many;
        - few.
    y : Ignored
        Not used, present for API consistency.
    """


class Base:
    def fit(self, rows):
        """Learn rows.

        Parameters
        ----------
        rows : array
            Rows.

        Returns
        -------
        number : int
            How many.
        """


def test_insertion():
    @documented(shown)
    def other(rows, y=None):
        """Hide rows.

        Parameters
        ----------
        <rows, y>

        Examples
        --------
        >>> print("{X} 5 % <X>")
        {X} 5 % <X>
        """

    expected = cleandoc(shown.__doc__).replace("Show", "Hide")
    assert other.__doc__.startswith(expected)
    assert "{X} 5 % <X>\n" in other.__doc__ + "\n"
    assert list(signature(other).parameters) == ["rows", "y"]


def test_methods_find_the_entries_of_their_class_and_its_bases():
    def wrapped(method):
        return wraps(method)(lambda self, rows: method(self, rows))

    @documented()
    class Method(Base):
        """A method.

        Attributes: <ax_>
        """

        @wrapped
        def predict(self, rows):
            """Predict.

            Parameters: <rows>

            Returns: <number>
            """

        @classmethod
        def make(cls, ax):
            """Make one.

            Parameters: <ax>

            Returns: <drawn>
            """

    assert Method.predict.__doc__ == cleandoc(Base.fit.__doc__).replace(
        "Learn rows", "Predict"
    )
    assert Method.predict.__wrapped__.__doc__ == Method.predict.__doc__
    assert Method.__doc__.splitlines()[2:5] == [
        "Attributes",
        "----------",
        "ax_ : matplotlib Axes",
    ]
    assert "display : Method\n" in Method.make.__doc__


def test_unknown_entries():
    with pytest.raises(ValueError, match="broken: <nobody> in a docstring has no"):

        @documented()
        def broken():
            """Break.

            Returns: <nobody>
            """


def test_a_name_of_several_texts_needs_a_method():
    class Several:
        def score(self, X):
            """Score.

            X : array
                Columns.
            """

        def predict(self, X):
            """Predict.

            <X>
            """

    with pytest.raises(ValueError, match="<X> in a docstring has more than one text"):
        documented()(Several)
    Several.predict.__doc__ = "<score.X>\n<shared.X>"
    documented()(Several)
    own, shared = Several.predict.__doc__.split("\n", 2)[1:]
    assert own == "    Columns."
    assert shared.startswith(
        "X : array-like of shape (n_samples, n_features), or images"
    )


def test_without_docstrings():
    code = """
from sklearn_vlclust._docs import documented
@documented()
class Bare:
    "Parameters: <nobody>"
    def fit(self):
        "Returns: <nobody>"
print(Bare.__doc__, Bare.fit.__doc__)
"""
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None None\n"
