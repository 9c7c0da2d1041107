"""The number of clusters of a spectral cut, without labels."""

import numpy as np

from ..embedding._rows import UnitRows
from ..metrics import coding_length
from ..metrics._silhouette import simplified_silhouettes

# Moves to another row after which a diffusion is looked at.
MOVES = 2 ** np.arange(0, 7.25, 0.5)
# Rows that silhouettes are averaged over; many rows tell no more.
SAMPLE_ROWS = 4000
# Modes of a diffusion with less than this share of the first are dropped.
SMALLEST_MODE = 1e-4
# The cut that clusters are compared with has so many times more of them, and at least
# so many rows a cluster.
FINER, FINER_ROWS = 1.5, 4
# A lower persistence is noise: then the least number is the answer.
NO_PERSISTENCE = 0.003
# Share of the best persistence that is about as good.
TIE = 0.97


def n_modes(k_values, n):
    """Return how many eigenvectors `estimate_n_clusters` needs: `max_k` of a cut."""
    return min(n, 1 + int(FINER * np.max(k_values)))


def estimate_n_clusters(cut, rows, k_values, criterion="persistence", eps=0.1):
    """Choose the number of clusters of a cut.

    Parameters
    ----------
    cut : SpectralCut
        Of `rows`, with ``n_modes(k_values, n)`` eigenvectors.
    rows : UnitRows or ndarray of shape (n, d)
        Unit rows, for the coding length.
    k_values : int array of shape (n_values,)
        Numbers to choose from.
    criterion : {"persistence", "coding_length"}, default="persistence"
        See :class:`~sklearn_vlclust.CodingLengthKSelector`.
    eps : float, default=0.1
        Squared precision of the coding length.

    Returns
    -------
    k : int
        The choice.
    curves : dict of str to ndarray of shape (n_values,)
        Both criteria at every number. The best coding length is the least, the best
        persistence the greatest.
    """
    curves = measure(cut, rows, [cut.labels(k) for k in k_values], eps)
    return choose(k_values, curves, criterion), curves


def measure(cut, rows, labels, eps):
    """Return both criteria of clusterings of `rows`: curves, by name."""
    return {
        "coding_length": np.array([coding_length(rows, row, eps) for row in labels]),
        "persistence": persistence(cut, labels),
    }


def choose(k_values, curves, criterion):
    """Return the best number by a criterion, the least of several.

    By persistence, the number with the shortest code is the answer if it is about as
    good as the best: one more cluster of a hundred hardly changes a mean silhouette.
    """
    shortest = curves["coding_length"].argmin()
    curve = curves["persistence"]
    if criterion == "coding_length" or curve[shortest] > TIE * curve.max() > 0:
        return int(k_values[shortest])
    return int(k_values[curve.argmax() if curve.max() > NO_PERSISTENCE else 0])


def persistence(cut, labels):
    """Measure how far and how long clusters stay apart while the graph is diffused.

    A walker of the graph forgets, with time, first the row and then the group of rows
    that it started from. Rows are given the coordinates of a diffusion map [1]_ at 15
    times between 1 and 128 moves, scaled to unit length. At each time, a clustering is
    worth what its simplified silhouette exceeds that of two others: the cut in two,
    which wins once all else is forgotten, and one into half as many again as the
    largest number, which wins as long as nothing is. The persistence is the mean over
    the times, which are spread evenly on a logarithmic scale (not in the paper).

    Parameters
    ----------
    cut : SpectralCut
        Its leading eigenpairs, more than the largest number of clusters.
    labels : list of int arrays of shape (n,)
        Clusterings.

    Returns
    -------
    persistence : ndarray of shape (n_clusterings,)
        Between 0 and 1, higher is better; 0 for fewer than four rows a cluster.

    References
    ----------
    .. [1] Coifman, Lafon, "Diffusion maps", Applied and Computational Harmonic
       Analysis 2006.
    """
    n = cut.affinity.shape[0]
    curve = np.zeros(len(labels))
    finest = min(cut.max_k, n // FINER_ROWS)
    counted = [i for i, row in enumerate(labels) if 1 <= row.max() < finest - 1]
    if not counted:
        return curve
    sample = np.unique(np.linspace(0, n - 1, min(n, SAMPLE_ROWS)).astype(int))
    compared = [cut.labels(2), cut.labels(finest), *(labels[i] for i in counted)]
    # Of clusters that the sample has no rows of there are no silhouettes.
    places = [np.unique(row[sample], return_inverse=True)[1] for row in compared]
    vectors = cut.eigenvectors[sample]
    values = cut.eigenvalues.clip(0, 1)
    stay = cut.affinity.diagonal() / cut.affinity.sum(axis=1).clip(1e-12)
    for moves in MOVES:
        weights = values ** (moves / max(1 - stay.mean(), 1e-3))
        kept = weights > SMALLEST_MODE
        map_ = vectors[:, kept] * weights[kept].astype(np.float32)
        scores = simplified_silhouettes(
            UnitRows(map_, zero_rows=True), np.array(places)
        )
        curve[counted] += (scores[2:] - scores[:2].max()).clip(0) / len(MOVES)
    return curve
