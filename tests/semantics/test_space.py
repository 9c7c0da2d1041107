"""The filters against cases worked out by hand, and the space on real CLIP vectors."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from sklearn_vlclust import SemanticSpace, Vocabulary


def at(*degrees):
    """Unit vectors in the plane."""
    angles = np.deg2rad(degrees)
    return np.c_[np.cos(angles), np.sin(angles)]


# Depths: entity 0, animal 6, dog 8, cat 13, poodle 9, car 10; no synset for gizmo.
NOUNS = ["entity", "animal", "dog", "cat", "poodle", "car", "gizmo"]
SYNSETS = [*(f"{noun}.n.01" for noun in NOUNS[:-1]), None]
ANGLES = [30, 20, 10, 25, 0, 90, 80]
# Two groups of images, at 0 and at 90 degrees.
IMAGES = at(-1, 0, 1, 89, 90, 91)


def make_space(angles=ANGLES, **params):
    vocabulary = Vocabulary(NOUNS, at(*angles), SYNSETS)
    params = {"n_clusters": 2, "gamma_u": 0, "gamma_r": 7, "random_state": 0, **params}
    return SemanticSpace(vocabulary, **params)


@pytest.mark.parametrize(
    ("params", "kept", "removed"),
    [
        # Nearest nouns are poodle and car; animal and dog are above poodle, cat not.
        ({"gamma_h": 1}, ["animal", "dog", "poodle", "car"], 3),
        ({"gamma_h": 0}, ["entity", "animal", "dog", "poodle", "car"], 2),
        ({"gamma_h": 6}, ["animal", "dog", "poodle", "car"], 3),
        ({"gamma_h": 7}, ["dog", "poodle", "car"], 4),
        ({"gamma_h": 10}, ["car"], 6),
    ],
)
def test_hierarchy(params, kept, removed):
    space = make_space(**params).fit(IMAGES)
    assert list(space.nouns_) == kept
    assert space.n_removed_ == {"uniqueness": 0, "centers": 0, "hierarchy": removed}
    depth = dict(zip(NOUNS, [0, 6, 8, None, 9, 10], strict=False))
    assert list(space.depths_) == [depth[noun] for noun in kept]
    assert list(space.synsets_) == [f"{noun}.n.01" for noun in kept]


def test_a_noun_without_synset_stays_if_an_image_is_nearest_to_it():
    space = make_space().fit(np.r_[IMAGES, at(81)])
    assert list(space.nouns_) == ["animal", "dog", "poodle", "car", "gizmo"]
    assert space.synsets_[-1] is None
    assert space.depths_[-1] == -1


def test_ancestors_that_an_earlier_filter_removed_stay_out():
    # The three nearest of the center at 0 are poodle, dog, animal; at 90: car, gizmo
    # and entity, at 60 degrees from it.
    space = make_space(gamma_r=3, gamma_h=0).fit(IMAGES)
    assert list(space.nouns_) == ["entity", "animal", "dog", "poodle", "car"]
    assert space.n_removed_ == {"uniqueness": 0, "centers": 1, "hierarchy": 1}
    space = make_space(gamma_r=1, gamma_h=0).fit(IMAGES)
    assert list(space.nouns_) == ["poodle", "car"]
    assert space.n_removed_ == {"uniqueness": 0, "centers": 5, "hierarchy": 0}


def test_a_shallow_nearest_noun_speaks_for_its_ancestors_only():
    # Now animal is nearest to the images at 0: poodle and dog are below it, not above.
    space = make_space([30, 0, 10, 25, 15, 90, 80]).fit(IMAGES)
    assert list(space.nouns_) == ["animal", "car"]


def test_uniqueness():
    # The mean points to 0 degrees: cosines 0.5, 1, 0.5, and cos 20 = 0.94.
    nouns = Vocabulary(["left", "middle", "right", "a", "b"], at(60, 0, -60, 20, -20))
    images = at(60, 0, -60, 20, -20)
    params = {"n_clusters": 1, "gamma_r": 5, "random_state": 0}
    for gamma_u, removed in [(0, 0), (0.05, 1), (0.1, 3)]:
        space = SemanticSpace(nouns, gamma_u=gamma_u, **params).fit(images)
        assert space.n_removed_["uniqueness"] == removed
        assert len(space.nouns_) == 5 - removed
        assert (removed == 0) == ("middle" in space.nouns_)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"gamma_u": 1}, r"uniqueness \(gamma_u=1\) removed 7,.*hierarchy.*removed 0"),
        (
            {"gamma_h": 13},
            r"removed 0,.*hierarchy \(gamma_h=13\) removed 7",
        ),
    ],
)
def test_no_noun_left(params, match):
    with pytest.raises(ValueError, match=f"No noun is left of 7: .*{match}"):
        make_space(**params).fit(IMAGES)


@given(
    n=st.integers(2, 40),
    m=st.integers(2, 30),
    d=st.integers(2, 6),
    gamma_r=st.integers(1, 8),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=25)
def test_properties(n, m, d, gamma_r, seed):
    rng = np.random.RandomState(seed)
    X, vectors = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    vocabulary = Vocabulary([f"noun {i}" for i in range(m)], vectors)
    params = {"n_clusters": 2, "gamma_r": gamma_r, "gamma_u": 0, "random_state": seed}
    space = SemanticSpace(vocabulary, **params).fit(X)
    again = SemanticSpace(vocabulary, **params).fit(3 * X)  # lengths do not matter
    np.testing.assert_array_equal(space.nouns_, again.nouns_)
    assert len(space.nouns_) + sum(space.n_removed_.values()) == m
    position = {noun: i for i, noun in enumerate(vocabulary)}
    rows = [position[noun] for noun in space.nouns_]
    np.testing.assert_array_equal(space.embeddings_, vocabulary.embeddings[rows])
    assert len(space.nouns_) <= 2 * gamma_r
    # The equations, in a loop.
    cosines = space.transform(X)
    similarities, indices = space.kneighbors(X, 1)
    mixture = space.mixture(X, temperature=0.1)
    for i, x in enumerate(X / np.linalg.norm(X, axis=1, keepdims=True)):
        c = np.array([x @ v for v in space.embeddings_])
        w = np.exp(c / 0.1) / np.exp(c / 0.1).sum()
        np.testing.assert_allclose(cosines[i], c, atol=1e-6)
        np.testing.assert_allclose(mixture[i], w @ space.embeddings_, atol=1e-5)
        np.testing.assert_allclose(similarities[i, 0], c.max(), atol=1e-6)
        np.testing.assert_allclose(c[indices[i, 0]], c.max(), atol=1e-6)


def test_pets_are_described_by_pets(clip_data, lvis_imagenet):
    images = clip_data("images_oxford_pets.npz")
    space = SemanticSpace(lvis_imagenet, n_clusters=37, random_state=0)
    space.fit(images["emb_val"].astype(np.float32))
    assert {"Siamese cat, Siamese", "Samoyed, Samoyede"} <= set(space.nouns_)
    assert space.depths_[list(space.nouns_).index("dog")] == 8
    # Unseen images, whose labels only check the names.
    X = images["emb_test"].astype(np.float32)
    samoyed = images["label_test"] == list(images["classname"]).index("samoyed")
    _, nearest = space.kneighbors(X[samoyed], 1)
    names, counts = np.unique(space.nouns_[nearest.ravel()], return_counts=True)
    assert names[counts.argmax()] == "Samoyed, Samoyede"


def test_caltech_keeps_about_as_many_nouns_as_the_paper(clip_data, lvis_imagenet):
    X = clip_data("images_caltech101.npz")["emb_test"].astype(np.float32)
    space = SemanticSpace(lvis_imagenet, n_clusters=100, random_state=0).fit(X)
    assert 300 <= len(space.nouns_) <= 700
    assert {"grand piano, grand", "starfish"} & set(space.nouns_)
    assert all(space.depths_[space.depths_ >= 0] >= space.gamma_h)


def test_data_frames():
    pd = pytest.importorskip("pandas")
    space = make_space(gamma_h=7).set_output(transform="pandas").fit(IMAGES)
    frame = space.transform(IMAGES)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["dog", "poodle", "car"]
    assert (frame.idxmax(axis=1) == ["poodle"] * 3 + ["car"] * 3).all()


def test_kinds_of_arrays_and_pickling(tmp_path):
    space = make_space().fit(IMAGES)
    expected = space.transform(IMAGES)
    IMAGES.astype(np.float32).tofile(tmp_path / "X")
    memmap = np.memmap(tmp_path / "X", np.float32, "r", shape=IMAGES.shape)
    tensor = torch.tensor(IMAGES, requires_grad=True)
    for X in (memmap, tensor, tensor.to(torch.bfloat16), IMAGES.tolist()):
        other = make_space().fit(X)
        np.testing.assert_array_equal(other.nouns_, space.nouns_)
        np.testing.assert_allclose(other.transform(X), expected, atol=0.01)
    assert space.transform(memmap).dtype == np.float32
    copy = pickle.loads(pickle.dumps(space))
    np.testing.assert_array_equal(copy.transform(IMAGES), expected)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (IMAGES[0], "1D array"),
        (IMAGES[:1], "n_samples=1 should be >= n_clusters=2"),
        (np.r_[IMAGES, [[0, 0]]], "Row 6 of X is all zeros"),
        (np.r_[IMAGES, [[np.nan, 0]]], "NaN"),
        (np.r_[IMAGES, [[np.inf, 0]]], "infinity"),
        (np.empty((0, 2)), "0 sample"),
        (np.ones((9, 768)), r"2 columns but X has 768.*ViT-L-14'\) gives 768"),
    ],
)
def test_bad_X(X, match):
    with pytest.raises(ValueError, match=match):
        make_space().fit(X)


def test_wrong_encoder_is_named(lvis_imagenet):
    match = r"512 columns \(.*'ViT-B-32'\)\) but X has 1001.*OfflineEmbedder"
    with pytest.raises(ValueError, match=match):
        SemanticSpace(lvis_imagenet).fit(np.ones((9, 1001)))


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"prompt": "a photo"}, r"prompt must hold \{\} once.*'a photo'"),
        ({"prompt": "{} {}"}, r"prompt must hold \{\} once"),
        ({"gamma_u": 2}, "gamma_u"),
        ({"gamma_r": 0}, "gamma_r"),
        ({"gamma_h": -1}, "gamma_h"),
        ({"embedder": "online"}, "embedder"),
        ({"n_clusters": 7}, "n_samples=6 should be >= n_clusters=7"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        make_space(**params).fit(IMAGES)


def test_bad_use_of_a_fitted_space():
    with pytest.raises(NotFittedError):
        make_space().mixture(IMAGES)
    space = make_space().fit(IMAGES)
    with pytest.raises(ValueError, match=r"k=5 neighbors.*4 keys"):
        space.kneighbors(IMAGES)
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        space.mixture(IMAGES, temperature=0)
    with pytest.raises(ValueError, match=r"3 features.*expecting 2"):
        space.transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="Row 1 of X is all zeros"):
        space.transform([[1, 0], [0, 0]])


def test_fit_never_compares_all_images_with_all_nouns():
    """In a process of its own, as peak memory is the process's."""
    pytest.importorskip("resource")
    code = """
import resource, numpy as np
from sklearn_vlclust import SemanticSpace, Vocabulary
rng = np.random.default_rng(0)
X = rng.standard_normal((20_000, 8), dtype=np.float32)
nouns = Vocabulary(map(str, range(10_000)), rng.standard_normal((10_000, 8)))
space = SemanticSpace(nouns, n_clusters=2, gamma_r=9, random_state=0)
space.fit(X[:1000])  # warm up
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
space.fit(X).mixture(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) * 1024 < 20_000 * 10_000 * 4 / 8
