"""`vlclust cluster`, step by step."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ._assignments import assignments, write_csv
from ._encoders import embed, make_encoder, resolve_encoder
from ._errors import USAGE, CommandError
from ._images import list_pictures
from ._methods import choose_n_clusters, fit_method
from ._model import Model
from ._options import Sorting
from ._output import Output
from ._sorted import check_sorted, sort_images
from ._words import describe_words, encode_nouns, find_wordnet, load_words


@dataclass(frozen=True)
class Request:
    """The options of ``vlclust cluster``."""

    folder: Path
    out: Path
    k: int | None = None
    method: str = "vl"
    encoder: str = "offline"
    words: str = "wordnet"
    max_k: int | None = None
    seed: int = 0
    exclude: tuple[str, ...] = ()
    device: str = "auto"
    batch_size: int | None = None
    cache: Path | None = None
    sorting: Sorting | None = None
    overwrite: bool = False

    def settings(self):
        """Return the options that determine the result, as JSON values."""
        return {
            "folder": os.path.abspath(os.path.expanduser(self.folder)),
            "k": self.k or "auto",
            "method": self.method,
            "encoder": resolve_encoder(self.encoder),
            "words": describe_words(self.words),
            "max_k": self.max_k,
            "seed": self.seed,
            "exclude": sorted(self.exclude),
        }


def run(request, terminal):
    """Cluster a folder of images; write table, model, report and sorted images.

    Returns
    -------
    result : dict
        JSON values: the files written, clusters, images, and images left out.
    """
    started = time.perf_counter()
    if request.words == "wordnet" and not find_wordnet(terminal):
        request = replace(request, words="none")
    words = load_words(request.words)
    settings, output = request.settings(), Output(request.out)
    output.check(request.folder, settings, request.overwrite)
    if request.sorting is not None:
        check_sorted(output.images)
    paths, left_out = list_pictures(request.folder, output.folder, request.exclude)
    _check_k(request.k, len(paths))
    with output.writing(request.folder, settings, request.overwrite) as resumed:
        if resumed:
            terminal.remark(f"Resuming the run in {str(output.folder)!r}")
        model, errors = _cluster(request, settings, paths, words, output, terminal)
        errors = left_out + errors
        write_csv(errors, output.left_out, ("path", "reason"))
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
        "left_out": str(output.left_out),
        "model": str(output.model),
        **_describe(model),
        "seconds": round(time.perf_counter() - started, 1),
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
    """Return the model, and the errors of images that could not be read."""
    from ..neighbors import ImageSearch

    spec = settings["encoder"]
    options = {"device": request.device, "batch_size": request.batch_size}
    cache = output.cache if request.cache is None else request.cache.expanduser()
    encoder = make_encoder(spec, cache=cache, **options)
    X, kept, errors = embed(encoder, paths, terminal)
    _check_k(request.k, len(X))
    encoder = make_encoder(spec, **options)  # a model has no cache
    encode_nouns(words, encoder, terminal)
    selector, k = None, request.k or "auto"
    if k == "auto" and request.max_k is not None:
        selector = choose_n_clusters(X, request.max_k, request.seed, terminal)
        k = selector.n_clusters_
    output.cache.mkdir(exist_ok=True)
    estimator = fit_method(request, k, X, words, encoder, output.cache, terminal)
    names = getattr(estimator, "cluster_names_", [])
    search = ImageSearch(encoder, random_state=request.seed).fit(X, paths=paths[kept])
    model = Model(
        estimator,
        search,
        [[str(name) for name in row] for row in names],
        spec,
        request.method,
        settings["folder"],
        selector=selector,
    )
    return model, errors


def _check_k(k, n):
    if n < 2:
        raise ValueError("Only one image can be read; clusters need two.")
    if k is not None and k > n:
        raise CommandError(f"--k {k} is more than the {n} images.", USAGE)


def _describe(model):
    """Return what is known of a model, as JSON values."""
    estimator, labels = model.estimator, model.estimator.labels_
    weight = getattr(estimator, "semantic_weight_", None)
    # Estimated numbers of clusters and their scores, best first
    candidates = getattr(model.selector or estimator, "k_candidates_", [])
    return {
        "method": model.method,
        "encoder": model.encoder,
        "encoder_id": model.search.encoder_id_,
        "semantic_weight": None if weight is None else round(float(weight), 4),
        "n_images": len(labels),
        "n_clusters": estimator.n_clusters_,
        "k_candidates": [[k, round(score, 4)] for k, score in candidates],
        "clusters": [
            {
                "cluster": c,
                "size": int((labels == c).sum()),
                "names": model.names[c] if c < len(model.names) else [],
            }
            for c in range(estimator.n_clusters_)
        ],
    }
