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


def shown(X, y=None):
    """Show rows.

    Parameters
    ----------
    X : array
        Rows, of whatever kind.

        - many;
        - few.
    y : Ignored
        Not used.
    """


class Base:
    def fit(self, X):
        """Learn rows.

        Parameters
        ----------
        X : array
            Rows.

        Returns
        -------
        number : int
            How many.
        """


def test_insertion():
    @documented(shown)
    def other(X, y=None):
        """Hide rows.

        Parameters
        ----------
        <X, y>

        Examples
        --------
        >>> print("{X} 5 % <X>")
        {X} 5 % <X>
        """

    expected = cleandoc(shown.__doc__).replace("Show", "Hide")
    assert other.__doc__.startswith(expected)
    assert "{X} 5 % <X>\n" in other.__doc__ + "\n"
    assert list(signature(other).parameters) == ["X", "y"]


def test_methods_find_the_entries_of_their_class_and_its_bases():
    def wrapped(method):
        return wraps(method)(lambda self, X: method(self, X))

    @documented()
    class Method(Base):
        """A method.

        Attributes: <ax_>
        """

        @wrapped
        def predict(self, X):
            """Predict.

            Parameters: <X>

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
    with pytest.raises(ValueError, match=r"broken: <nobody> in a docstring"):

        @documented()
        def broken():
            """Break.

            Returns: <nobody>
            """


def test_entries_that_differ_within_a_class():
    with pytest.raises(ValueError, match="spell out differently"):

        @documented()
        class Broken(Base):
            def fit(self, X):
                """Fit.

                X : array
                    Rows.
                """

            def score(self, X):
                """Score.

                X : array
                    Columns.
                """

            def predict(self, X):
                """Predict.

                Parameters: <X>
                """


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
