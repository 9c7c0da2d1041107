"""Nouns that an encoder places at one point, compared with images once."""

import hashlib

import numpy as np


class Points:
    """The distinct rows of the vectors of nouns.

    An encoder that knows fewer things than WordNet has words gives many words the same
    vector: :class:`OfflineEmbedder` has 5,366 for the 82,115 nouns.

    Parameters
    ----------
    vectors : ndarray of shape (n_nouns, d)
        Vectors of nouns.

    Attributes
    ----------
    first : ndarray of shape (n_points,), int
        First noun at each point.
    of_noun : ndarray of shape (n_nouns,), int
        Point of each noun.
    sizes : ndarray of shape (n_points,), int
        Number of nouns at each point.
    """

    def __init__(self, vectors):
        number: dict[bytes, int] = {}
        self.of_noun = np.array(
            [
                number.setdefault(
                    hashlib.blake2b(row.tobytes(), digest_size=16).digest(), len(number)
                )
                for row in vectors
            ]
        )
        self.first = np.unique(self.of_noun, return_index=True)[1]
        self.sizes = np.bincount(self.of_noun)
        self._members = np.argsort(self.of_noun, kind="stable")
        self._starts = np.cumsum(self.sizes) - self.sizes

    def nouns(self, points, scores, top):
        """Return the `top` nouns of rows of points, best first, and their scores.

        Parameters
        ----------
        points, scores : ndarray of shape (n, n_best)
            Of each row the best points, with at least `top` nouns together.
        top : int
            Number of nouns to keep.

        Returns
        -------
        nouns, scores : ndarray of shape (n, top)
        """
        if len(self.first) == len(self.of_noun):
            return self.first[points], scores
        offset = np.arange(top)
        there = offset < self.sizes[points][..., None]  # (n, n_best, top)
        place = np.where(there, self._starts[points][..., None] + offset, 0)
        there, place = (x.reshape(len(points), -1) for x in (there, place))
        kept = there & (np.cumsum(there, axis=1) <= top)
        nouns = self._members[place[kept]].reshape(-1, top)
        return nouns, np.repeat(scores, top, axis=1)[kept].reshape(-1, top)
