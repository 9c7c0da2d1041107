"""Leading eigenpairs of a graph: dense, or by Lanczos with a polynomial of it."""

import numpy as np
from scipy.linalg import eigh, eigh_tridiagonal
from scipy.sparse import eye_array
from scipy.sparse.linalg import LinearOperator, eigsh

# Degree of the polynomial. Odd: where a graph has lower eigenvalues than was seen, it
# is far below zero, which is the other end.
DEGREE = 9
# Steps that tell roughly where eigenvalues are, and how many of them, by that count,
# are to exceed the bound, for each that is wanted and besides: it may be wrong.
PROBES, COUNT_FACTOR, COUNT_MORE = 30, 2, 10
# Residual of an eigenpair, as a share of its eigenvalue.
TOL = 1e-5


def dense_eigenpairs(graph, known, k):
    """Return the k leading eigenpairs beside those that are known: (k,) and (n, k).

    `graph` is symmetric, (n, n), with eigenvalues between -1 and 1, and `known`, (n,
    c), holds orthonormal eigenvectors with eigenvalue 1; `k` is at most ``n - c``.
    """
    n = graph.shape[0]
    dense = graph.toarray() - 2 * (known @ known.T).toarray()
    values, vectors = eigh(dense, subset_by_index=[n - k, n - 1])
    return values[::-1], vectors[:, ::-1]


def lanczos_eigenpairs(graph, known, k, rng):
    """Return the k leading eigenpairs beside those that are known, by Lanczos.

    Arguments are those of :func:`dense_eigenpairs`, with ``k < n``; `rng` draws where
    to start. Lanczos spends its time on keeping its basis orthogonal, not on products
    with a sparse graph. So it is given a Chebyshev polynomial of the graph [1]_, which
    has the same eigenvectors, lies between -1 and 1 below a bound, and grows fast
    above: the basis takes a fifth to a third of the steps. A few Lanczos steps
    beforehand count eigenvalues [2]_ and put the bound below the wanted ones; should it
    not be, which the result tells, the graph is taken as it is.

    References
    ----------
    .. [1] Fang, Saad, "A filtered Lanczos procedure for extreme and interior eigenvalue
       problems", SIAM J. Sci. Comput. 2012.
    .. [2] Lin, Saad, Yang, "Approximating spectral densities of large matrices", SIAM
       Review 2016.
    """
    n = graph.shape[0]
    start = rng.normal(size=n)
    low, bound = _unwanted(graph, known, k, start)
    if bound > low:
        center, radius = (low + bound) / 2, (bound - low) / 2
        scaled = ((graph - center * eye_array(n)) / radius).tocsr()
        filtered, vectors = _largest(
            lambda x: _chebyshev(scaled, known, x), n, k, start
        )
        if filtered[-1] > 1:
            return center + radius * np.cosh(np.arccosh(filtered) / DEGREE), vectors
    return _largest(lambda x: graph @ x - 2 * (known @ (known.T @ x)), n, k, start)


def _largest(product, n, k, start):
    """Return the k largest eigenpairs of a symmetric operator, largest first."""
    operator = LinearOperator((n, n), product, dtype=np.float64)
    values, vectors = eigsh(operator, k, which="LA", tol=TOL, v0=start)
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _chebyshev(scaled, known, x):
    """Return a Chebyshev polynomial of a matrix, times x without known vectors."""
    before = x - known @ (known.T @ x)
    after = scaled @ before
    for _ in range(DEGREE - 1):
        following = scaled @ after
        following *= 2
        following -= before
        before, after = after, following
    return after - known @ (known.T @ after)


def _unwanted(graph, known, k, start):
    """Return about the least eigenvalue, and a bound that more than k exceed.

    A Ritz value of a random start stands for as many eigenvalues as n times the square
    of its part of the start. The two are equal if there is no such bound.
    """
    basis = np.empty((min(PROBES, len(start)), len(start)))
    diagonal, beside = [], []
    x = start / np.linalg.norm(start)
    for i in range(len(basis)):
        basis[i] = x
        product = graph @ x - known @ (known.T @ x)
        diagonal.append(x @ product)
        for _ in range(2):  # once leaves what rounding left
            product -= (basis[: i + 1] @ product) @ basis[: i + 1]
        beside.append(np.linalg.norm(product))
        if beside[-1] < 1e-8:  # nothing else is reached from the start
            break
        x = product / beside[-1]
    values, parts = eigh_tridiagonal(diagonal, beside[:-1])
    counts = np.cumsum(len(start) * parts[0, ::-1] ** 2)
    enough = np.searchsorted(counts, COUNT_FACTOR * k + COUNT_MORE) + 1
    return values[0], values[::-1][min(enough, len(values) - 1)]
