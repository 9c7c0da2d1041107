import warnings

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score, mutual_info_score

from benchmarks import shared_data
from sklearn_vlclust.cluster.spectral import n_clusters as n_clusters_module
from sklearn_vlclust.cluster.spectral.n_clusters import estimate_n_clusters
from sklearn_vlclust.cluster.spectral.recipe import NClustersRecipe


def estimate(X, k_range=None, seed=0):
    return estimate_n_clusters(X, np.random.RandomState(seed), k_range)


def blobs(n_groups, size, seed=0, width=40, spread=0.7):
    rng = np.random.default_rng(seed)
    centers = np.repeat(rng.normal(size=(n_groups, width)), size, axis=0)
    return (centers + spread * rng.normal(size=centers.shape)).astype(np.float32)


def subspaces(n_groups, size, rank=3, noise=0.05):
    rng = np.random.default_rng(0)
    X = np.zeros((n_groups, size, n_groups, rank))
    for group in range(n_groups):
        X[group, :, group] = rng.normal(size=(size, rank))
    X = X.reshape(n_groups * size, -1)
    return X + noise * rng.normal(size=X.shape)


@pytest.mark.parametrize("n_groups", [2, 3, 10, 40])
def test_number_of_blobs(n_groups):
    found = estimate(blobs(n_groups, 30))
    assert abs(found.n_clusters - n_groups) <= 0.1 * n_groups
    assert found.has_structure


@pytest.mark.parametrize("n_groups", [5, 12])
def test_number_of_subspaces_is_exact(n_groups):
    assert estimate(subspaces(n_groups, 60)).n_clusters == n_groups


def test_number_of_digits():
    assert 8 <= estimate(load_digits().data).n_clusters <= 14


@pytest.mark.parametrize(("name", "low", "high"), [("pets-val", 18, 60)])
def test_number_of_images(name, low, high):
    if not (shared_data.FOLDER / "clip_vitb32").is_dir():
        pytest.skip("needs the shared data")
    X, _ = shared_data.images(name)
    assert low <= estimate(X).n_clusters <= high


def test_what_an_estimate_holds():
    found = estimate(blobs(8, 40))
    assert found.candidates[0] == (found.n_clusters, 1.0)
    assert len(found.candidates) <= 4
    scores = [score for _, score in found.candidates]
    assert scores == sorted(scores, reverse=True) and scores[-1] >= 0
    assert (np.diff(found.k_values) > 0).all() and found.k_values[0] == 2
    for curve in found.scores.values():
        assert curve.shape == found.k_values.shape
        assert (curve >= 0).all() and (curve <= 1).all()
    best = found.scores["reproducibility"].argmax()
    assert found.k_values[best] == found.n_clusters


@pytest.mark.parametrize("width", [8, 64])
def test_noise_is_said_to_be_noise(width):
    X = np.random.default_rng(0).normal(size=(400, width))
    with pytest.warns(UserWarning, match="No groups were found in 400 distinct rows"):
        found = estimate(X)
    assert found.n_clusters == 1 and not found.has_structure


def test_structure_is_not_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate(blobs(5, 30))


def test_equal_rows_count_once():
    X = blobs(12, 20)
    rng = np.random.default_rng(1)
    copies = np.repeat(X, rng.integers(1, 8, size=len(X)), axis=0)
    expected = estimate(X).n_clusters
    assert abs(estimate(copies).n_clusters - expected) <= 1


def test_only_directions_count():
    X = blobs(6, 30).astype(np.float64)
    scaled = X * np.random.default_rng(0).uniform(0.01, 100, size=(len(X), 1))
    assert estimate(scaled).candidates == estimate(X).candidates


@pytest.mark.filterwarnings("ignore:No groups")
@pytest.mark.parametrize("n", range(2, 11))
def test_few_rows(n):
    X = np.random.default_rng(n).normal(size=(n, 4))
    assert 1 <= estimate(X).n_clusters <= n


@pytest.mark.filterwarnings("ignore:No groups")
@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.ones((30, 5)), 1),
        (np.repeat(np.eye(4, 6), 15, axis=0), 4),
        (np.linspace(-1, 1, 30)[:, None], 2),  # only the sign is a direction
    ],
    ids=["same", "four", "one column"],
)
def test_few_distinct_rows(X, expected):
    assert estimate(X).n_clusters == expected


def test_a_cut_in_two_does_not_hide_finer_groups():
    """Two kinds that lie far apart, of six groups each."""
    rng = np.random.default_rng(0)
    X = blobs(12, 40, width=30, spread=0.6)
    X[:, 0] += np.repeat([-12, 12], len(X) // 2)
    found = estimate(X)
    assert 9 <= found.n_clusters <= 15
    pure = rng.normal(size=(480, 30))
    pure[:, 0] += np.repeat([-12, 12], 240)
    assert estimate(pure).n_clusters == 2


def test_a_range_only_restricts():
    X = blobs(10, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = estimate(X)
        for k_range in (np.arange(2, 200), np.arange(5, 16), np.array([3, 10, 90])):
            assert estimate(X, k_range).candidates[0] == found.candidates[0]
        between = estimate(X, np.array([4, 9, 30]))
    assert between.n_clusters == 9
    with pytest.warns(UserWarning, match="k_range ends at 6, but 10 clusters"):
        low = estimate(X, np.arange(2, 7))
    assert low.n_clusters == 6 and low.candidates[0][0] == 6
    with pytest.warns(UserWarning, match="k_range ends at 20, but 10 clusters"):
        assert estimate(X, np.arange(20, 30)).n_clusters == 20


def test_a_range_where_there_is_no_structure():
    noise = np.random.default_rng(0).normal(size=(100, 20))
    with pytest.warns(UserWarning, match="No groups") as caught:
        assert 2 <= estimate(noise, np.arange(2, 9)).n_clusters <= 8
    assert len(caught) == 1


def test_same_seed_same_answer():
    X = blobs(7, 25, spread=1.2)
    first, second = estimate(X), estimate(X)
    assert first.candidates == second.candidates
    for name, curve in first.scores.items():
        np.testing.assert_array_equal(curve, second.scores[name])


def test_a_sample_of_many_rows():
    """More rows are read if a cluster has few in the sample."""
    read = []

    class Rows:
        X = blobs(50, 100)
        shape = X.shape

        def __getitem__(self, rows):
            read.append(len(rows))
            return self.X[rows]

    with NClustersRecipe.using(sample_rows=300, most_rows=1200):
        found = estimate(Rows())
    assert read == [300, 1200]
    assert 42 <= found.n_clusters <= 58


def test_cuts_are_those_of_scipy():
    rows = n_clusters_module._unit(blobs(6, 20))
    k_values = np.array([2, 3, 7, 30])
    cuts = n_clusters_module._cut(n_clusters_module._product(rows, rows), k_values)
    tree = linkage(pdist(rows), "ward")
    for k, labels in zip(k_values, cuts):
        assert len(np.unique(labels)) == k
        theirs = fcluster(tree, k, "maxclust")
        assert adjusted_rand_score(theirs, labels) == pytest.approx(1)


def test_information_is_mutual_information():
    rng = np.random.RandomState(0)
    labels = [rng.randint(4, size=(3, 50)), rng.randint(4, size=(3, 60))]
    near = [rng.randint(60, size=(50, 1)), rng.randint(50, size=(60, 1))]
    shared, by_chance, entropy = n_clusters_module._inform(labels, near, rng)
    for i in range(3):
        expected = sum(
            mutual_info_score(labels[own][i], labels[1 - own][i][near[own][:, 0]])
            for own in (0, 1)
        )
        assert shared[i] == pytest.approx(expected)
        assert by_chance[i] < entropy[i]


def test_majority_of_three_neighbors():
    own = np.array([[0, 1, 2, 0]])
    other = np.array([[5, 6, 6, 7]])
    near = np.array([[0, 1, 2], [1, 0, 2], [0, 1, 3], [3, 3, 0]])
    given = np.array([6, 6, 5, 7])  # majority, majority, the nearest, majority
    shared, *_ = n_clusters_module._inform(
        [own, other], [near, np.zeros((4, 3), dtype=int)], np.random.RandomState(0)
    )
    backward = mutual_info_score(other[0], np.zeros(4))
    assert shared[0] == pytest.approx(mutual_info_score(own[0], given) + backward)


def test_corners_are_the_best_for_some_price():
    rng = np.random.default_rng(0)
    entropy = np.sort(rng.uniform(0.5, 5, size=30))
    agreement = rng.uniform(0.2, 0.9, size=30)
    prices = np.linspace(0, 1, 20_001)[:, None]
    worth = entropy * (agreement - prices)
    expected = set(worth.argmax(axis=1)[worth.max(axis=1) > 0].tolist())
    assert set(n_clusters_module._corners(agreement, entropy)) == expected
