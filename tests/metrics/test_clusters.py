import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_vlclust.metrics._clusters import cluster_means, cluster_members


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 7))
def test_members_are_the_rows_of_each_cluster(labels, k):
    members = cluster_members(np.array(labels, dtype=int), k)
    assert len(members) == max(k, max(labels) + 1)
    for c, rows in enumerate(members):
        assert rows.tolist() == [i for i, label in enumerate(labels) if label == c]


def test_means_are_those_of_the_members():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(40, 3)), rng.integers(0, 4, size=40)
    means = cluster_means(rows, labels, 5)
    for mean, members in zip(means, cluster_members(labels)):
        assert mean == pytest.approx(rows[members].mean(axis=0), abs=1e-6)
    assert (means[4] == 0).all()
