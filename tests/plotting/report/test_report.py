"""What a report knows, and the HTML that it writes."""

import base64
import hashlib
import html
import json
import os
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.cluster import DBSCAN, KMeans

from sklearn_vlclust import (
    ClusterCaptioner,
    CodingLengthKSelector,
    RateReductionClustering,
    SemanticSpace,
    VLClustering,
    Vocabulary,
)
from sklearn_vlclust.data.images import ImageSource
from sklearn_vlclust.data.rows import UnitRows
from sklearn_vlclust.datasets import list_images
from sklearn_vlclust.plotting import ClusterReport
from sklearn_vlclust.plotting.report import words
from sklearn_vlclust.plotting.report.words import make_search
from tests.plotting.report.conftest import HOSTILE, draw_report

LABELS = np.repeat(np.arange(4), 15)
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (60, 20, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(1)
    return np.eye(4, 12)[LABELS] + 0.15 * rng.normal(size=(60, 12))


@pytest.fixture(scope="module")
def nouns():
    return Vocabulary(["cat", "dog", "car", "tree", "sky"], embeddings=np.eye(5, 12))


class MeanColors(BaseEstimator):
    """The smallest encoder: mean colors of nine parts of an image."""

    def transform(self, images):
        small = [
            ImageSource(x, i).decode().resize((3, 3)) for i, x in enumerate(images)
        ]
        return np.stack([np.asarray(x, dtype=np.float32).ravel() + 1 for x in small])


def json_of(html):
    """Return the JSON of a page as it is written."""
    return re.search(r'id="data">(.*?)</script>', html, re.S)[1]


def data_of(html):
    """Return what the JSON of a page says."""
    return json.loads(json_of(html))


def test_clusters_of_any_clusterer(X, images):
    kmeans = KMeans(4, n_init=3, random_state=0).fit(X)
    report = ClusterReport.from_estimator(kmeans, images, embeddings=X)
    np.testing.assert_array_equal(report.labels, kmeans.labels_)
    assert report.sizes == dict.fromkeys(range(4), 15)
    assert report.method == "KMeans" and report.params["n_clusters"] == "4"
    assert report.certainty_name == "margin" and report.curves == []
    assert report.image_names[:2] == ["image 0", "image 1"]
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    own = unit[kmeans.labels_ == kmeans.labels_[0]].mean(axis=0)
    cosine = unit[0] @ own / np.linalg.norm(own)
    np.testing.assert_allclose(report.typicality[0], cosine, rtol=1e-5)
    page = data_of(report.to_html())
    assert [c["size"] for c in page["clusters"]] == [15] * 4
    assert page["images"]["cluster"] == kmeans.labels_.tolist()
    sheet = base64.b64decode(page_thumbnails(report.to_html())[0])
    assert Image.open(BytesIO(sheet)).size == (768, 768)
    # Images of a cluster share a sheet, the most typical first.
    tiles = np.array(page["images"]["tile"])
    order = np.lexsort((-report.typicality, report.labels))
    np.testing.assert_array_equal(order, np.argsort(tiles))
    assert [c["perhaps"] for c in page["clusters"]] == [False] * 4


def page_thumbnails(html):
    return re.search(r'id="thumbnails">(.*?)</script>', html, re.S)[1].split("\n")


def test_noise_is_no_cluster(X, images):
    rows = np.concatenate([X, -np.ones((1, 12))])
    dbscan = DBSCAN(eps=0.3, metric="cosine").fit(rows)
    pictures = [*images, images[0]]
    report = ClusterReport.from_estimator(dbscan, pictures, embeddings=rows)
    assert report.sizes == {0: 15, 1: 15, 2: 15, 3: 15, -1: 1}
    page = data_of(report.to_html())
    assert page["noise"]["size"] == 1 and page["images"]["cluster"][-1] == -1
    assert report.similarities.shape == (4, 4)


def test_all_noise(X, images):
    nothing = DBSCAN(eps=1e-6).fit(X)
    report = ClusterReport.from_estimator(nothing, images, embeddings=X)
    assert report.sizes == {-1: 60} and np.isnan(report.typicality).all()
    assert data_of(report.to_html())["images"]["typicality"] == [None] * 60


def test_names_and_why(X, images, nouns):
    kmeans = KMeans(4, n_init=3, random_state=0).fit(X)
    captioner = ClusterCaptioner(nouns).fit(X, kmeans.labels_)
    report = ClusterReport.from_estimator(
        kmeans, images, embeddings=X, captioner=captioner
    )
    assert report.name_score == "share of images"
    page = data_of(report.to_html())
    for c, cluster in enumerate(page["clusters"]):
        found = [name for name, _ in cluster["names"]]
        assert found == captioner.candidates_[c].tolist()
        np.testing.assert_allclose(
            [score for _, score in cluster["names"]],
            captioner.candidate_scores_[c],
            atol=1e-5,
        )


def test_words_are_found_without_an_encoder(X, images, nouns):
    model = VLClustering(4, semantic_space=nouns, random_state=0).fit(X)
    report = ClusterReport.from_estimator(model, images, embeddings=X)
    found = report.search
    cosines = UnitRows(X)[:] @ nouns.embeddings.T
    number = dict(found.words)
    assert set(number) == set(nouns)
    for i, noun in enumerate(nouns):
        scores = (
            found.images
            * found.scales
            @ (found.nouns[number[noun]] * found.noun_scales)
        )
        centered = cosines[:, i] - cosines[:, i].mean()
        np.testing.assert_allclose(scores, centered, atol=0.03)
        assert found.offsets[number[noun]] == pytest.approx(
            cosines[:, i].mean(), abs=1e-3
        )
    assert {word for word, at in found.words if at < found.n_near} == set(
        model.semantic_space_.nouns_
    )
    proba = np.sort(model.predict_proba(X), axis=1)
    assert report.certainty_name == "probability"
    np.testing.assert_allclose(report.certainty, proba[:, -1])
    np.testing.assert_allclose(report.rivals[1], proba[:, -2])
    assert (report.rivals[0] != report.labels).all()


def test_many_words_are_those_in_use_and_near(X, images, monkeypatch):
    monkeypatch.setattr(words, "NOUNS", 6)
    nouns = ["dog", "airplane", "okapi", "zebra", "horse", "syllabub", "piano", "cello"]
    vocabulary = Vocabulary(
        nouns,
        np.r_[np.eye(4, 12), np.eye(4, 12) + 0.2],
        [f"{noun}.n.01" for noun in nouns],
    )
    space = SemanticSpace(
        vocabulary, n_clusters=1, gamma_r=1, gamma_u=0, random_state=0
    )
    found = make_search(UnitRows(X), np.arange(60), space.fit(X))
    number = dict(found.words)
    assert len(found.nouns) == 6 and found.n_near == 1
    # "plane" means an airplane first; "okapi" and "syllabub" nobody says.
    assert number["plane"] == number["airplane"]
    assert {"dog", "horse", "piano"} <= set(number) and "syllabub" not in number


def test_uncertain_names(X, images, nouns):
    kmeans = KMeans(4, n_init=3, random_state=0).fit(X)
    captioner = ClusterCaptioner(nouns).fit(X, kmeans.labels_)
    captioner.confidences_ = np.array([0.9, 0.49, 0.5, 0.1])
    report = ClusterReport.from_estimator(
        kmeans, images, embeddings=X, captioner=captioner
    )
    page = data_of(report.to_html())
    assert [c["perhaps"] for c in page["clusters"]] == [False, True, False, True]
    report = ClusterReport.from_estimator(
        kmeans, images, embeddings=X, name_confidences=[0, 1, 1, 1]
    )
    assert report.name_confidences == {0: 0.0, 1: 1.0, 2: 1.0, 3: 1.0}


@pytest.mark.smoke
def test_the_curve(X, images):
    kmeans = KMeans(4, n_init=3, random_state=0).fit(X)
    selector = CodingLengthKSelector(
        k_range=(2, 8), criterion="coding_length", random_state=0
    ).fit(X)
    report = ClusterReport.from_estimator(
        kmeans, images, embeddings=X, selector=selector
    )
    (curve,) = report.curves
    assert "coding length" in curve.label
    np.testing.assert_array_equal(curve.scores, selector.coding_lengths_)
    html = report.to_html()
    assert html.count('class="point"') == 7
    also = ", ".join(str(k) for k, _ in selector.k_candidates_[1:])
    assert f"About {selector.n_clusters_} groups; also {also}." in html


def test_images_are_embedded_as_by_the_fit(images):
    model = RateReductionClustering(
        max_iter=2, embedder=MeanColors(), random_state=0
    ).fit(images)
    report = ClusterReport.from_estimator(model, images)
    np.testing.assert_array_equal(report.labels, model.labels_)
    assert [curve.n_clusters for curve in report.curves] == [model.n_clusters_] * 2


class PixelClusterer(BaseEstimator):
    """Like those that learn from pixels: features in which clusters are points."""

    image_shape_ = (3, 20, 30)

    def fit(self, images):
        return self

    def predict(self, images):
        return (np.asarray(images).mean(axis=(1, 2, 3)) > 127.5).astype(int)

    def transform(self, images):
        return np.eye(2)[self.predict(images)]

    def __sklearn_is_fitted__(self):
        return True


def test_learned_features_tell_no_duplicates(images, X):
    report = ClusterReport.from_estimator(PixelClusterer(), images)
    assert report.duplicates == [] and len(report.sizes) == 2
    report = ClusterReport.from_estimator(PixelClusterer(), [*images, images[0]])
    assert report.duplicates == [([0, len(images)], 0, ["exact"])]


def test_hostile_file_names(X, tmp_path):
    made = []
    for i, name in enumerate(HOSTILE):
        name = name.replace("/", "∕").replace("\x00", "").replace("\ud800", "")
        path = os.fsencode(tmp_path) + b"/" + os.fsencode(name)[:250]
        Image.new("RGB", (9, 9), (i * 9, 90, 20)).save(tmp_path / "plain", "PNG")
        os.replace(tmp_path / "plain", path)
        made.append(os.fsdecode(path))
    paths = list_images(tmp_path)
    assert sorted(made) == sorted(paths)
    kmeans = KMeans(2, n_init=1, random_state=0).fit(X[: len(paths)])
    report = ClusterReport.from_estimator(
        kmeans, paths, embeddings=X[: len(paths)], link_images=False
    )
    page = report.save(tmp_path / "report.html").read_text(encoding="utf-8")
    assert data_of(page)["images"]["name"] == [os.path.basename(path) for path in paths]
    assert str(tmp_path) not in page and " file:" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_nouns_titles_and_parameters(text):
    report = draw_report(
        ["a", "b"],
        [0, 0],
        title=text,
        params={text: text},
        method=text,
        cluster_names={0: [(text, 0.5)]},
        folder=text,
    )
    html = report.to_html().encode("utf-8").decode()
    page = data_of(html)
    assert page["clusters"][0]["names"] == [[text, 0.5]] and page["folder"] == text
    assert html.count("<script") == 3 and html.count("</script") == 3
    assert html.count("<svg") == html.count("<img") == 0


@given(ANY_TEXT)
@settings(max_examples=50, deadline=None)
def test_any_text_is_lossless_and_inert(text):
    names = {0: [(text, 0.5)]}
    report = draw_report([text, "b"], [0, 0], title=text, cluster_names=names)
    page = report.to_html()
    page.encode("utf-8")
    data = data_of(page)
    assert data["images"]["name"] == [text, "b"]
    assert data["clusters"][0]["names"] == [[text, 0.5]]
    written = json_of(page)
    assert written.isascii() and not set(written) & set("<>&")
    # What is no JSON has no control characters, and is else as it was.
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    if text.isprintable() and text:
        title = re.search("<title>(.*?)</title>", page)[1]
        assert html.unescape(title) == text


@pytest.mark.smoke
def test_the_page_needs_nothing_else(report):
    html = report.to_html()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[
        1
    ]
    assert policy.startswith("default-src 'none'; img-src data: blob:;")
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = hashlib.sha256(body[0].encode()).digest()
        assert len(body) == 1
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert not re.search(r"\sstyle=|\son\w+=", html.split("<script")[0])
    assert report.to_html() == html


def test_saving_is_atomic(report, tmp_path, monkeypatch):
    path = tmp_path / "new" / "report.html"
    assert report.save(str(path)) == path and path.stat().st_size > 20_000
    before = path.read_bytes()

    def fail(self, data):
        Path.open(self, "wb").write(data[:10])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        report.save(path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_more_images_than_are_shown(X, images):
    X = np.concatenate([X, X[:1]])  # the last is a duplicate of the first
    pictures = [*images, images[0]]
    kmeans = KMeans(4, n_init=3, random_state=0).fit(X)
    report = ClusterReport.from_estimator(kmeans, pictures, embeddings=X, max_images=40)
    assert len(report.thumbnails.tiles) == len(report.labels) == 40
    assert sum(report.sizes.values()) == 61
    (((i, j), others, reasons),) = report.duplicates
    assert (others, reasons) == (0, ["exact"])
    assert report.image_names[i] == "image 0" and report.image_names[j] == "image 60"
    assert "40 of 61 images have a picture here" in report.to_html()
    assert set(np.bincount(report.labels)) <= set(range(8, 13))


def test_what_does_not_fit(X, images, tmp_path):
    kmeans = KMeans(4, n_init=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="pass those of the images as embeddings="):
        ClusterReport.from_estimator(kmeans, images)
    with pytest.raises(ValueError, match="60 images but 9 embeddings"):
        ClusterReport.from_estimator(kmeans, images, embeddings=X[:9])
    with pytest.raises(ValueError, match="estimated no number of clusters"):
        ClusterReport.from_estimator(kmeans, images, embeddings=X, selector=kmeans)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ValueError, match=r"Cannot read the image .*broken\.png"):
        ClusterReport.from_estimator(kmeans, [broken] * 60, embeddings=X)


def test_names_start_where_paths_differ(X, images, tmp_path):
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"part{i % 2}" / f"{i}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(paths[-1])
    kmeans = KMeans(4, n_init=1, random_state=0).fit(X)
    report = ClusterReport.from_estimator(kmeans, paths, embeddings=X)
    assert report.image_names[1] == os.path.join("part1", "1.png")
    assert report.folder == str(tmp_path)
