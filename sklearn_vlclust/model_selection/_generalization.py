"""How much of the clusters a linear classifier learns, as a score of clusterers."""

from __future__ import annotations

from typing import Any

from .._docs import documented
from .._typing import Data, Float, Int, RandomState
from ..metrics import generalization, learned_information
from ._fitted import embeddings_of, labels_of


@documented(generalization)
def generalization_score(
    estimator: Any,
    X: Data,
    y: object = None,
    *,
    alpha: Float = 0.3,
    n_folds: Int = 3,
    random_state: RandomState = 0,
) -> float:
    """How much of the clusters a linear classifier learns, in nats.

    :func:`~sklearn_vlclust.metrics.learned_information` of the embeddings and the
    labels: a ridge classifier is trained on the clusters of a third of `X` and predicts
    the clusters of the rest. It compares methods, parameters and numbers of clusters,
    and is what `score` of the clusterers returns. Noise (negative labels) counts as not
    learned.

    Parameters: <estimator, given, y, alpha, n_folds>
    random_state : int or RandomState instance, default=0
        Draws the folds, and 20,000 of more samples.

    Returns
    -------
    score : float
        Higher is better: 0 for one cluster and about 0 for random labels, and the
        logarithm of the number of clusters at most.

    Raises
    ------
    ValueError
        If `alpha` is not positive, `n_folds` is below 2, or a row is zero or not
        finite.

    See Also
    --------
    consensus_score : Agreement with other partitions.
    sklearn_vlclust.metrics.generalization : The share that is learned, of labels.

    Examples
    --------
    >>> from sklearn.cluster import AgglomerativeClustering, KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn_vlclust.model_selection import generalization_score
    >>> X, _ = load_digits(return_X_y=True)
    >>> methods = [KMeans(10, random_state=0), AgglomerativeClustering(10)]
    >>> search = GridSearchCV(
    ...     Pipeline([("cluster", methods[0])]),
    ...     {"cluster": methods},
    ...     scoring=generalization_score,
    ...     cv=3,
    ... )
    >>> search.fit(X).best_params_["cluster"]
    AgglomerativeClustering(n_clusters=10)
    """
    labels = labels_of(estimator, X)
    rows = embeddings_of(estimator, X)
    return learned_information(
        rows, labels, alpha=alpha, n_folds=n_folds, rng=random_state
    )
