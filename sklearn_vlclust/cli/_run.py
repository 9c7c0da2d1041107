"""`vlclust cluster`, step by step."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from ._assignments import assignments, write_csv
from ._encoders import embed, make_encoder, resolve_encoder
from ._errors import USAGE, CommandError
from ._images import list_pictures
from ._methods import Fitter, choose_n_clusters
from ._model import Model
from ._options import Method, Sorting
from ._output import Output
from ._sorted import check_sorted, sort_images
from ._words import describe_words, encode_nouns, load_words


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are options of ``vlclust cluster``."""

    folder: Path
    out: Path
    k: int | None = None
    method: Method = Method.vl
    encoder: str = "offline"
    words: str = "wordnet"
    max_k: int | None = None
    seed: int = 0
    device: str = "auto"
    batch_size: int | None = None
    cache: Path | None = None
    sorting: Sorting | None = None
    overwrite: bool = False

    def settings(self):
        """Return what decides on the result, as JSON values."""
        return {
            "folder": os.path.abspath(os.path.expanduser(self.folder)),
            "k": self.k or "auto",
            "method": str(self.method),
            "encoder": resolve_encoder(self.encoder),
            "words": describe_words(self.words),
            "max_k": self.max_k,
            "seed": self.seed,
        }


def run(request, terminal):
    """Cluster a folder of images; write table, model, report and sorted images.

    Parameters
    ----------
    request : Request
        What is wanted.
    terminal : Terminal
        Shows how far it is.

    Returns
    -------
    result : dict
        JSON values: files, clusters, images, and those that were left out.
    """
    started = time.perf_counter()
    words = load_words(request.words)
    settings, output = request.settings(), Output(request.out)
    output.check(request.folder, settings, request.overwrite)
    if request.sorting is not None:
        check_sorted(output.images)
    paths = list_pictures(request.folder, output.folder)
    _check_k(request.k, len(paths))
    with output.writing(request.folder, settings, request.overwrite) as resumed:
        if resumed:
            terminal.remark(f"Going on with the run in {str(output.folder)!r}")
        model, errors = _cluster(request, settings, paths, words, output, terminal)
        rows = assignments(
            model.search.paths_,
            model.estimator.predict_proba(model.embeddings),
            model.names,
        )
        model.save(output.model)
        write_csv(rows, output.csv)
        if request.sorting is not None:
            sort_images(rows, output.images, request.sorting, terminal)
        write_report(model, output.report, terminal)
    return {
        "out": str(output.folder),
        "report": str(output.report),
        "csv": str(output.csv),
        "model": str(output.model),
        **_describe(model),
        "seconds": round(time.perf_counter() - started, 1),
        "clusters": _clusters(model),
        "images": rows,
        "errors": errors,
        "warnings": terminal.warnings,
    }


def write_report(model, path, terminal):
    """Write the report of a model to an HTML file."""
    from ..plotting import ClusterReport

    with terminal.stage("Writing the report"):
        ClusterReport.from_estimator(
            model.estimator,
            list(model.search.paths_),
            embeddings=model.embeddings,
            captioner=model.captioner,
            selector=model.selector,
            title=model.title,
        ).save(path)


def _cluster(request, settings, paths, words, output, terminal):
    """Return the model, and the images that could not be read."""
    from ..neighbors import ImageSearch

    spec = settings["encoder"]
    options = {"device": request.device, "batch_size": request.batch_size}
    cache = output.cache if request.cache is None else request.cache.expanduser()
    encoder = make_encoder(spec, cache=cache, **options)
    X, kept, errors = embed(encoder, paths, terminal)
    _check_k(request.k, len(X))
    encoder = make_encoder(spec, **options)  # without the cache of this run
    encode_nouns(words, encoder, terminal)
    selector, k = None, request.k or "auto"
    if k == "auto" and request.max_k is not None:
        selector = choose_n_clusters(X, request.max_k, request.seed, terminal)
        k = selector.n_clusters_
    output.cache.mkdir(exist_ok=True)
    estimator = Fitter(
        X,
        words=words,
        embedder=encoder,
        seed=request.seed,
        device=request.device,
        checkpoints=output.cache,
        terminal=terminal,
    ).fit(request.method, k)
    names = getattr(estimator, "cluster_names_", [])
    search = ImageSearch(encoder, random_state=request.seed).fit(X, paths=paths[kept])
    model = Model(
        estimator,
        search,
        [[str(name) for name in row] for row in names],
        spec,
        str(request.method),
        settings["folder"],
        selector=selector,
    )
    return model, errors


def _check_k(k, n):
    if n < 2:
        raise ValueError("There is one image that can be read; clusters need two.")
    if k is not None and k > n:
        raise CommandError(f"--k {k} is more than the {n} images.", USAGE)


def _describe(model):
    estimator = model.estimator
    weight = getattr(estimator, "semantic_weight_", None)
    return {
        "method": model.method,
        "encoder": model.encoder,
        "encoder_id": model.search.encoder_id_,
        "semantic_weight": None if weight is None else round(float(weight), 4),
        "n_images": len(estimator.labels_),
        "n_clusters": estimator.n_clusters_,
        "k_candidates": _candidates(model),
    }


def _candidates(model):
    """Return numbers of clusters with their scores, best first; [] if one was given."""
    source = model.estimator if model.selector is None else model.selector
    return [[k, round(s, 4)] for k, s in getattr(source, "k_candidates_", [])]


def _clusters(model):
    labels = model.estimator.labels_
    return [
        {
            "cluster": c,
            "size": int((labels == c).sum()),
            "names": model.names[c] if c < len(model.names) else [],
        }
        for c in range(model.estimator.n_clusters_)
    ]
