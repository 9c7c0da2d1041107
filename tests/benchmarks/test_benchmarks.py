"""Every benchmark runs, at toy size, and keeps its figures."""

import json

import numpy as np
import pytest
import torch

from benchmarks import (
    accuracy,
    captions,
    coding_rate,
    k_suite,
    memory,
    names,
    offline,
    rate_reduction,
    semantic_space,
    shared_data,
)
from benchmarks.__main__ import main
from benchmarks.machine import in_fresh_process, peak_bytes
from benchmarks.rows import clustered, write_clustered
from benchmarks.training import ATTENTION_SCALE, ETA, ETA_TEXT, TAU, WEIGHT, PlainMCA
from sklearn_vlclust import Vocabulary
from sklearn_vlclust.cluster.mca.network import MCANetwork
from sklearn_vlclust.cluster.mca.objective import MCAObjective


def toy(name, tmp_path):
    """Run a benchmark as the command does; its report."""
    assert main([name, "--size", "toy", "--output", str(tmp_path)]) == 0
    return json.loads((tmp_path / f"{name}-toy.json").read_text())


@pytest.fixture
def shared():
    if not shared_data.FOLDER.is_dir():
        pytest.skip(f"no shared data: {shared_data.FOLDER} is missing")


def test_training(tmp_path):
    report = toy("training", tmp_path)
    (rows,) = report["tables"].values()
    assert len(rows) == 5 and all(row["epoch_s"] > 0 for row in rows)
    assert report["command"] == "python -m benchmarks training --size toy"
    assert report["machine"]["cores"] >= 1 and "torch" in report["versions"]


@pytest.mark.parametrize("shortcuts", [True, False])
def test_bare_loop_computes_the_losses_of_the_library(shortcuts):
    rng = torch.Generator().manual_seed(0)
    images = torch.from_numpy(clustered(200, 16, 3)[0]).double()
    nouns = images[:30]
    near_prototypes = torch.randint(30, (30, 5), generator=rng)
    network = MCANetwork(16, 3, 10.0, ATTENTION_SCALE).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) / 4)
    objective = MCAObjective(
        type("Source", (), {"blocks": lambda self: [images]})(),
        nouns,
        near_prototypes,
        eta=ETA,
        eta_text=WEIGHT * ETA_TEXT,
        lambda_ia=WEIGHT,
        lambda_pa=WEIGHT,
        lambda_sa=WEIGHT,
        tau_ia=TAU,
        tau_pa=TAU,
        warm_up=0,
    )
    plain = PlainMCA(nouns, near_prototypes, 3, shortcuts).double()
    plain.load_state_dict(network.state_dict())
    batch = (
        images[:50],
        images[50:100],
        torch.randint(30, (50, 5), generator=rng),
        torch.randint(30, (50,), generator=rng),
    )
    objective.start_epoch(network, 0)
    plain.renew_prototypes(images)
    expected = objective(network, torch.cat(batch[:2]), *batch[2:])["loss"]
    actual = plain(*batch)
    torch.testing.assert_close(actual, expected)
    expected.backward()
    actual.backward()
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(
            parameter.grad, network.get_parameter(name).grad, msg=name
        )


def test_neighbors(tmp_path):
    tables = toy("neighbors", tmp_path)["tables"]
    assert tables["cells, used above 200,000 rows"][0]["recall_at_20"] > 0.9


def test_handwritten(tmp_path):
    for title, rows in toy("handwritten", tmp_path)["tables"].items():
        parts = {row["what"].split(":")[0] for row in rows}
        assert "neighbors" in parts
        assert ("starts" in parts) == ("RateReduction" not in title)
        assert all(0 < row["by_hand"] < row["fit_cpu_seconds"] for row in rows)


def test_memory(tmp_path):
    write_clustered(tmp_path / "X.npy", 500, 16, 10)
    row = memory.fit(tmp_path / "X.npy", 20)
    assert 0 < row["imports_gib"] <= row["peak_gib"]


def test_memory_is_that_of_a_process_of_its_own():
    assert in_fresh_process(peak_bytes) < peak_bytes() / 2  # torch is not imported


def test_semantic_space(tmp_path):
    write_clustered(tmp_path / "X.npy", 300, 8, 4)
    write_clustered(tmp_path / "nouns.npy", 50, 8, 4, seed=1)
    assert 0 < semantic_space.fit(tmp_path, 4)["kept"] <= 50


def test_fit(shared, tmp_path):
    parts = toy("fit", tmp_path)["tables"]["where the time of fit goes"]
    assert sum(part["share"] for part in parts) == pytest.approx(1)
    assert all(part["seconds"] > 0 for part in parts)


def test_accuracy(shared):
    (rows,) = accuracy.run(**accuracy.SIZES["toy"]).values()
    assert [row["what"] for row in rows][-1] == "MCAClustering()"
    assert all(20 < row["ACC"] <= 100 for row in rows)


def test_other_cases_of_accuracy(shared):
    _, y = accuracy._halve_odd_classes(np.arange(12)[:, None], np.arange(12) % 3)
    assert np.bincount(y).tolist() == [4, 2, 4]
    nouns = shared_data.vocabulary("imagenet")
    others = shared_data.without_animals(nouns)
    assert len(nouns) - len(others) == 398  # the first 398 classes of ImageNet


def test_rate_reduction(shared):
    (rows,) = rate_reduction.run(**rate_reduction.SIZES["toy"]).values()
    assert rows[-1]["what"] == "RateReductionClustering()"
    assert all(20 < row["ACC"] <= 100 for row in rows)
    assert rows[-1]["predict_agrees"] == [100.0]


@pytest.mark.parametrize("part_bytes", [2**30, 2**16])  # whole, and in four parts
def test_coding_rate(part_bytes, monkeypatch):
    """What the straightforward code computes is what the library does."""
    monkeypatch.setattr(coding_rate, "PART_BYTES", part_bytes)
    plain, exact, _ = coding_rate.objective(60, 16, 1, with_memory=False)
    assert exact["value_error"] < 1e-4 and exact["gradient_cosine"] > 0.9999
    log_domain, ours = coding_rate.membership(60, 1)
    assert ours["asymmetry"] == 0 <= log_domain["asymmetry"]
    assert ours["largest_residual"] < 1e-4 and plain["times_faster"] == 1


def test_offline(shared):
    pytest.importorskip("efficientnet_lite_pytorch")
    tables = offline.run(every=120, n_seeds=1)
    assert len(tables["names"]) == 7


def test_captions(shared, tmp_path):
    (rows,) = toy("captions", tmp_path)["tables"].values()
    assert all(0 < row["named"] <= row["or a kind"] <= 100 for row in rows)


def test_names(shared, tmp_path):
    rows, words = toy("names", tmp_path)["tables"].values()
    assert all(0 < row["classes"] <= 100 and row["found"] > 0 for row in rows)
    assert [row["a person's word"] for row in words][3:5] == ["basset hound", "beagle"]


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("Sailing-boats", True),
        ("yacht, racing yacht", True),
        ("sailing boat (vessel)", True),
        ("boat", False),
        ("vessel (sailing boat)", False),
    ],
)
def test_accepted_names(name, accepted):
    assert names.accepts(["sailing boat", "yacht"], name) is accepted


def test_k_selection(shared, tmp_path):
    tables = toy("k_selection", tmp_path)["tables"]
    assert all(row["same_assignment"] > 0.98 for row in tables["agreement"])
    assert all(row["NMI"] > 0.98 for row in tables["agreement on subspaces"])


def test_k_estimates(tmp_path):
    digits, subspaces = toy("k_estimates", tmp_path)["tables"]["estimates"]
    assert 8 <= digits["reproducibility"][0] <= 14
    # Some rows of so narrow subspaces are taken for near copies.
    assert set(subspaces["coding_length"]) <= {2, 3}


def test_k_suite(tmp_path):
    tables = toy("k_suite", tmp_path)["tables"]
    (part,) = tables["parts"]
    assert part["part"] == "design" and part["25 %, 3 shown"] > 70
    assert part["noise warned"] == "3 of 3"


def test_cases_of_the_k_suite(shared):
    for name in ("pets-val", "orthogonal"):
        for kind, X, n_classes in k_suite.make_cases(name):
            assert len(X) >= n_classes > 1 and kind
    rows = list(k_suite.make_cases("dtd"))
    few = {kind: (len(X), k) for kind, X, k in rows if "per class" in kind}
    assert few == {f"{m} per class": (47 * m, 47) for m in (5, 10, 20)}
    assert {"full", "3 classes", "30 classes", "uneven"} <= {kind for kind, *_ in rows}


def test_image_search(tmp_path):
    (rows,) = toy("image_search", tmp_path)["tables"].values()
    assert rows[0]["recall_"] >= 0.95 and rows[0]["recall"] > 0.9


def test_search_quality(shared, tmp_path):
    (rows,) = toy("search_quality", tmp_path)["tables"].values()
    assert all(50 < row["5 nearest"] <= 100 for row in rows)


def test_label_free_scores(tmp_path):
    (rows,) = toy("label_free_scores", tmp_path)["tables"].values()
    assert all(row["chosen"] == 10 and row["ARI"] > 0.5 for row in rows)


def test_nouns_that_mean_a_class():
    nouns = [
        "car (automobile)",
        "electric chair",
        "elephant",
        "African elephant, Loxodonta africana",
        "Siamese cat, Siamese",
        "Rhinoceros",
        "rag doll",
    ]
    synsets = ["car", "electric_chair", "elephant", "african_elephant", "siamese_cat"]
    synsets = [*(f"{name}.n.01" for name in synsets), None, None]
    words = Vocabulary(nouns, synsets=synsets)
    classes = ["car_side", "chair", "elephant", "siamese", "rhinoceros", "ragdoll"]
    found = captions.nouns_of_classes(classes, words)
    assert found == [{0}, set(), {2}, {4}, {5}, {6}]
    assert captions.with_kinds(found, words)[2] == {2, 3}
    assert captions.nouns_of_classes(["ragdoll"], words, pets=True) == [set()]


def test_missing_data_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shared_data, "FOLDER", tmp_path)
    assert main(["accuracy", "--size", "toy", "--output", str(tmp_path)]) == 1
    assert "VLCLUST_TEST_DATA" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_unknown_benchmark(capsys):
    with pytest.raises(SystemExit):
        main(["training", "accuracies"])
    assert "no benchmark accuracies" in capsys.readouterr().err


def test_choosing(shared, tmp_path):
    tables = toy("choosing", tmp_path)["tables"]
    for title in ("methods, all", "methods, dtd, classes drawn", "numbers of clusters"):
        *rows, best = tables[title]
        measure = "ARI" if title.startswith("numbers") else "ACC"
        assert best["what"] == "the best, by labels" and len(rows) > 8
        for row in rows:
            assert row["loss"] == pytest.approx(best[measure] - row[measure], abs=0.11)


def test_duplicates(shared, tmp_path):
    tables = toy("duplicates", tmp_path)["tables"]
    bar, _, (timed,) = tables.values()
    assert bar[0]["recall_%"] >= 90 and bar[0]["precision_%"] >= 95
    assert timed["found"] >= timed["copies"]


def test_reading(shared, tmp_path):
    (rows,) = toy("reading", tmp_path)["tables"].values()
    assert len(rows) == 8 and all(row["ratio"] > 0 for row in rows)
