"""How well clusters are learned by a linear classifier, as a score of clusterers."""

from ..metrics import generalization
from ._fitted import embeddings_of, labels_of


def generalization_score(estimator, X, y=None, *, alpha=1.0, n_folds=5, random_state=0):
    """How well a linear classifier learns the clusters, beyond chance.

    :func:`~sklearn_vlclust.metrics.generalization` of the embeddings and the labels: a
    ridge classifier is trained on the clusters of four fifths of `X` and predicts those
    of the rest. To be compared between methods that are given the same number of
    clusters: fewer clusters are easier to learn.

    Parameters
    ----------
    estimator : fitted clusterer
        Labels of `X` are its `predict`; of one that has none, such as
        `AgglomerativeClustering`, the `fit_predict` of a clone. Noise (negative labels)
        counts as not predicted.
    X : array-like of shape (n_samples, n_features), or images
        Samples, as the estimator takes them.
    y : Ignored
        So that it can be passed as `scoring` to `GridSearchCV`.
    alpha : float, default=1.0
        Weight of the ridge penalty, where embeddings have a mean squared distance of 1
        from their mean.
    n_folds : int, default=5
        Number of folds; as many as samples if these are fewer.
    random_state : int or RandomState instance, default=0
        Draws the folds, and 20,000 of more samples.

    Returns
    -------
    score : float
        Higher is better: 1 at most, about 0 for random labels and for one cluster.

    Raises
    ------
    ValueError
        If `alpha` is not positive, `n_folds` is below 2, or a row is zero or not
        finite.

    See Also
    --------
    neighbor_consistency_score : To compare numbers of clusters.
    consensus_score : Agreement with other partitions.

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
    return generalization(rows, labels, alpha=alpha, n_folds=n_folds, rng=random_state)
