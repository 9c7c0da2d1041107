"""What MCA does with words, on made-up and on real embeddings."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans

from sklearn_vlclust import MCAClustering, SemanticSpace, Vocabulary
from sklearn_vlclust.cluster import partition as partitions
from sklearn_vlclust.cluster.mca import presets
from sklearn_vlclust.cluster.mca.network import MCANetwork
from sklearn_vlclust.cluster.mca.objective import AlignedBatches, MCAObjective
from sklearn_vlclust.cluster.recipe import CommonRecipe
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.metrics import clustering_accuracy, match_clusters


def test_names_and_labels_of_nouns(small, make_mca):
    X, y, words = small
    mca = make_mca(n_names=2).fit(X)
    kind = match_clusters(y, mca.labels_)
    space = mca.semantic_space_
    for cluster, (names, scores) in enumerate(
        zip(mca.cluster_names_, mca.name_scores_)
    ):
        assert names[0] == words.nouns[kind[cluster]]
        assert 1 <= len(names) == len(scores) <= 2
        assert 1 >= scores.max() >= scores.min() >= 0
        assert scores[0] * 150 / 152 >= mca.name_confidences_[cluster] > 0
    assert [kind[label] for label in mca.noun_labels_] == [
        list(words.nouns).index(noun) for noun in space.nouns_
    ]


def test_attention_of_figure_4(small, make_mca):
    X, y, words = small
    mca = make_mca(k_s=3).fit(X)
    near, weights = mca.attention(X)
    assert near.shape == weights.shape == (150, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert (np.diff(weights, axis=1) <= 0).all()
    assert (near[:, 0] == words.nouns[y]).mean() > 0.95


def test_attention_by_hand(small, make_mca):
    X, _, _ = small
    mca = make_mca(k_s=2).fit(X)
    near, weights = mca.attention(X[:5])
    network, space = mca.network_, mca.semantic_space_
    query, key = network.image_query.numpy(), network.text_key.numpy()
    for x, names, found in zip(X[:5], near, weights):
        u = x / np.linalg.norm(x)
        nearest = np.argsort(-space.embeddings_ @ u)[:2]
        scale = network.config["attention_scale"]
        scores = [scale * (query @ u) @ (key @ space.embeddings_[j]) for j in nearest]
        expected = np.exp(scores - np.max(scores))
        expected /= expected.sum()
        order = np.argsort(-expected)
        assert list(names) == list(space.nouns_[nearest[order]])
        np.testing.assert_allclose(found, expected[order], atol=1e-4)


@pytest.mark.parametrize(
    ("off", "absent"),
    [
        ("lambda_ia", "instance_alignment"),
        ("lambda_pa", "prototype_alignment"),
        ("lambda_sa", "semantic_alignment"),
    ],
)
def test_each_term_can_be_switched_off(small, make_mca, off, absent):
    terms = {"instance_alignment", "prototype_alignment", "semantic_alignment"}
    full = make_mca(semantic_weight=1.0, warm_up=1)
    assert terms <= set(full.fit(small[0]).history_[-1])
    assert "semantic_alignment" not in full.history_[0]  # warm-up
    part = clone(full).set_params(**{off: 0}).fit(small[0])
    assert terms - set(part.history_[-1]) == {absent}
    assert terms.isdisjoint(
        clone(full).set_params(lambda_a=0).fit(small[0]).history_[-1]
    )


def test_whole_objective_eq7_eq8():
    """The weighted sum of the terms, and the prototypes, against loops."""
    n, m, d, c = 12, 7, 5, 3
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    rows = UnitRows(rng.normal(size=(n, d)).astype(np.float32))
    V = UnitRows(rng.normal(size=(m, d)).astype(np.float32))[:]
    near_images, near_nouns = rng.integers(n, size=(n, 2)), rng.integers(m, size=(n, 2))
    near_prototypes = np.argsort(-V @ V.T, axis=1)[:, :2]
    source = AlignedBatches(rows, near_images, near_nouns, generator, "cpu")
    weights = {"eta": 1.5, "eta_text": 0.3}
    weights |= {"lambda_ia": 0.7, "lambda_pa": 0.4, "lambda_sa": 0.9}
    objective = MCAObjective(
        source,
        torch.from_numpy(V),
        torch.from_numpy(near_prototypes),
        tau_ia=0.2,
        tau_pa=0.5,
        warm_up=1,
        **weights,
    )
    network = MCANetwork(d, c, 2.0, 3.0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    objective.start_epoch(network, 1)
    batch = source.batch(torch.arange(n))
    found = {name: x.item() for name, x in objective(network, *batch).items()}
    terms = ["image_consistency", "balance", "text_balance"]
    terms += [f"{level}_alignment" for level in ("instance", "prototype", "semantic")]
    factors = [1, 1.5, 0.3, 0.7, 0.4, 0.9]
    assert set(found) == {"loss", *terms}
    expected = sum(f * found[term] for f, term in zip(factors, terms))
    assert found["loss"] == pytest.approx(expected, rel=1e-5)

    q = network.assign_images(torch.from_numpy(rows[:])).detach().numpy()
    h_image, h_text = objective.find_prototypes(network)
    for label in range(c):
        h = sum(q[i, label] * rows[:][i] for i in range(n)) / q[:, label].sum()
        nearest_noun = max(range(m), key=lambda j: h @ V[j])
        neighbors = sorted(range(m), key=lambda j: -V[nearest_noun] @ V[j])[:2]
        np.testing.assert_allclose(h_image[label], h, rtol=1e-4, atol=1e-6)
        mean = (V[neighbors[0]] + V[neighbors[1]]) / 2
        np.testing.assert_allclose(h_text[label], mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("m", [3, 60])
def test_attention_by_images_or_by_nouns(m):
    """The matrices go to whichever are fewer: ``softmax((W^I u)^T W^S v)``."""
    generator = torch.Generator().manual_seed(0)
    network = MCANetwork(5, 2, attention_scale=3.0).double()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    u, nouns = torch.randn(8 + m, 5, generator=generator).double().split([8, m])
    near = torch.randint(m, (8, 2), generator=generator)
    found = network.attend(u, nouns, near)
    found.square().sum().backward()
    grads = [network.image_query.grad.clone(), network.text_key.grad.clone()]
    network.zero_grad()
    images, keys = u @ network.image_query.T, nouns @ network.text_key.T
    logits = [[3.0 * images[i] @ keys[j] for j in near[i]] for i in range(8)]
    expected = torch.stack([torch.stack(row).softmax(dim=0) for row in logits])
    expected.square().sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(grads[0], network.image_query.grad)
    torch.testing.assert_close(grads[1], network.text_key.grad)


def test_without_words_there_are_no_names(small, make_mca):
    mca = make_mca(semantic_space=None).fit(small[0])
    assert mca.semantic_weight_ == 0 and mca.semantic_space_ is None
    assert not hasattr(mca, "cluster_names_")
    with pytest.raises(ValueError, match="semantic_space=None"):
        mca.attention(small[0])


@pytest.mark.parametrize("params", [{"n_clusters": 1}, {"semantic_space": "one noun"}])
def test_smallest_cases_stay_finite(small, make_mca, params):
    if "semantic_space" in params:
        one = Vocabulary(["thing"], embeddings=np.ones((1, 16)))
        params = {"semantic_space": SemanticSpace(one, gamma_u=0), "semantic_weight": 1}
    mca = make_mca(**params).fit(small[0])
    assert np.isfinite(mca.transform(small[0])).all()
    assert np.isfinite([row["loss"] for row in mca.history_]).all()


def test_space_follows_the_estimator_and_is_left_alone(small, make_mca):
    space = SemanticSpace(small[2], n_clusters=99, gamma_h=0)
    mca = make_mca(semantic_space=space).fit(small[0])
    assert space.n_clusters == 99 and not hasattr(space, "nouns_")
    assert mca.semantic_space_.n_clusters == 5 and mca.semantic_space_.gamma_h == 0
    assert mca.semantic_space_.transform(small[0]).shape == (150, 5)


@pytest.mark.parametrize("name", sorted(presets.MCA))
def test_presets_of_table_5_can_be_fitted(small, name):
    params = presets.MCA[name]
    assert params["max_iter"] == 100 and params["batch_size"] == 128
    space = clone(params["semantic_space"]).set_params(vocabulary=small[2])
    few = {"n_clusters": 5, "max_iter": 2, "semantic_space": space}
    mca = MCAClustering(**{**params, **few}, random_state=0).fit(small[0])
    assert mca.n_iter_ == 2


def test_a_sample_starts_many_rows(small, make_mca):
    X, y, _ = small
    with CommonRecipe.using(start_rows=60, start_rows_per_cluster=5, ward_rows=40):
        assert clustering_accuracy(y, make_mca().fit_predict(X)) > 0.95


def test_ward_on_one_product_equals_scipy():
    from scipy.spatial.distance import pdist

    x = np.random.default_rng(0).normal(size=(40, 7)).astype(np.float32)
    np.testing.assert_allclose(partitions.pairwise_distances(x), pdist(x), atol=1e-5)


def first_name(noun):
    """Of "Samoyed, Samoyede" the first, in lower case."""
    return noun.partition(",")[0].lower()


def test_words_that_cover_the_images_lift_them_above_kmeans(
    images, clip_data, lvis_imagenet
):
    X, y = images("oxford_pets", "val")
    breeds = clip_data("images_oxford_pets.npz")["classname"]
    kmeans = KMeans(37, n_init=3, random_state=0).fit_predict(X)
    mca = MCAClustering(37, semantic_space=lvis_imagenet, random_state=0).fit(X)
    assert mca.semantic_weight_ > 0.5
    assert clustering_accuracy(y, mca.labels_) > clustering_accuracy(y, kmeans) + 0.1
    assert mca.n_clusters_ >= 35
    # Most clusters whose breed has a noun are named with it.
    known = {first_name(noun) for noun in lvis_imagenet}
    named = [
        first_name(breeds[kind]) in map(first_name, mca.cluster_names_[cluster])
        for cluster, kind in match_clusters(y, mca.labels_).items()
        if first_name(breeds[kind]) in known
    ]
    assert len(named) >= 8 and np.mean(named) > 0.6


def test_words_that_do_not_cover_the_images_do_no_harm(images, lvis_imagenet):
    X, y = images("stanford_cars", "val")
    keep = np.isin(y, np.unique(y)[::4])
    X, y = X[keep], y[keep]
    k = len(np.unique(y))
    kmeans = KMeans(k, n_init=3, random_state=0).fit_predict(X)
    mca = MCAClustering(k, semantic_space=lvis_imagenet, random_state=0).fit(X)
    assert mca.semantic_weight_ < 0.3
    assert clustering_accuracy(y, mca.labels_) > clustering_accuracy(y, kmeans)


def test_width_of_another_encoder_is_explained(lvis_imagenet):
    message = r"512 columns \(CLIPEmbedder\('ViT-B-32'\)\) but X has 768.*'ViT-L-14'"
    with pytest.raises(ValueError, match=message):
        MCAClustering(2, semantic_space=lvis_imagenet).fit(np.ones((9, 768)))


def test_uneven_start_suits_uneven_classes(images):
    X, y = images("caltech101", "val")
    some = np.isin(y, np.unique(y)[:30])
    X, y = X[some], np.unique(y[some], return_inverse=True)[1]
    even, uneven = (
        MCAClustering(30, semantic_space=None, start=start, random_state=0).fit(X)
        for start in ("even", "uneven")
    )
    accuracy = clustering_accuracy(y, even.labels_)
    assert clustering_accuracy(y, uneven.labels_) > accuracy + 0.03


def test_start_is_checked(small, make_mca):
    with pytest.raises(ValueError, match="'start' parameter"):
        make_mca(start="random").fit(small[0])
