"""`vlclust cluster` and `vlclust recut`, step by step."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ._assignments import assignments, write_csv
from ._encoders import (
    AUTO,
    choose_encoder,
    default_cache,
    embed,
    make_encoder,
    resolve_encoder,
)
from ._errors import USAGE, CommandError
from ._images import MARKER, fingerprint, list_pictures
from ._methods import choose_n_clusters, fit_method, refit
from ._model import Model, find_model, names_of
from ._options import Sorting
from ._output import Output
from ._sorted import check_sorted, sort_images, sorted_how
from ._words import describe_words, encode_nouns, find_wordnet, load_words


@dataclass(frozen=True)
class Request:
    """The options of ``vlclust cluster``."""

    folder: Path
    out: Path
    k: int | None = None
    method: str = "vl"
    encoder: str = AUTO
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
        JSON values: the files written, clusters, images, and images left out. If the
        same run was finished before, its result, and ``"finished_before"``.
    """
    started = time.perf_counter()
    output = Output(request.out)
    if (
        request.encoder == AUTO
        and not request.overwrite
        and "encoder" in (there := output.settings)
    ):  # a run goes on with the encoder that it began with
        request = replace(request, encoder=there["encoder"])
    settings = request.settings()
    output.check(request.folder, settings, request.overwrite)
    if request.sorting is not None:
        check_sorted(output.images)
    paths, left_out = list_pictures(request.folder, output.folder, request.exclude)
    pictures = fingerprint(paths)
    result = None if request.overwrite else output.finished(settings, pictures)
    if result is not None:
        if request.sorting is not None:
            with output.held():
                sort_images(result["images"], output.images, request.sorting, terminal)
        return {**result, "finished_before": True}
    _check_k(request.k, len(paths))
    settings["encoder"] = choose_encoder(request.encoder, terminal)
    if request.words == "wordnet" and not find_wordnet(terminal):
        # Not finished: with WordNet, the same command gives the clusters names.
        request, pictures = replace(request, words="none"), None
    words = load_words(request.words)
    with output.writing(request.folder, settings, request.overwrite, pictures) as again:
        if again:
            terminal.remark(f"Resuming the run in {str(output.folder)!r}")
        model, errors = _cluster(request, settings, paths, words, output, terminal)
        errors = left_out + errors
        return _write(model, errors, output, request.sorting, started, terminal)


def recut(folder, k, out, overwrite, terminal):
    """Cluster the images of a model into another number of clusters.

    Parameters
    ----------
    folder : path
        Of the model.
    k : int or None
        Number of clusters; the estimate if None.
    out : path or None
        Where the results go; in place if None.
    overwrite : bool
        Whether `out` may hold something else.
    terminal : Terminal
        Shows a bar.

    Returns
    -------
    result : dict
        As of `run`.
    """
    started = time.perf_counter()
    source = Output(find_model(folder).parent)
    if out is None and not (source.folder / MARKER).is_file():
        raise CommandError(
            f"{str(source.folder)!r} is not the --out folder of a run: say by --out "
            "where the results go.",
            USAGE,
        )
    output = source if out is None else Output(out)
    settings = {**source.settings, "k": k or "auto"}
    overwrite = overwrite or output.folder == source.folder
    before = source.read_result() or {}
    model = Model.load(source.folder)
    output.check(model.source, settings, overwrite)
    _check_k(k, len(model.embeddings))
    refit(model, k, terminal)
    how = sorted_how(output.images)
    with output.writing(model.source, settings, overwrite, source.pictures):
        errors = before.get("errors", [])
        return _write(model, errors, output, how, started, terminal)


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


def _write(model, errors, output, sorting, started, terminal):
    """Write what a run leaves, and return its result."""
    write_csv(errors, output.left_out, ("path", "reason"))
    rows = assignments(
        model.search.paths_,
        model.estimator.predict_proba(model.embeddings),
        model.names,
    )
    model.save(output.model)
    write_csv(rows, output.csv)
    if sorting is not None:
        sort_images(rows, output.images, sorting, terminal)
    write_report(model, output.report, terminal)
    result = {
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
    output.write_result(result)
    return result


def _cluster(request, settings, paths, words, output, terminal):
    """Return the model, and the errors of images that could not be read."""
    from ..neighbors import ImageSearch

    spec = settings["encoder"]
    options = {"device": request.device, "batch_size": request.batch_size}
    cache = request.cache.expanduser() if request.cache else default_cache()
    encoder = make_encoder(spec, cache=cache, **options)
    X, kept, errors = embed(encoder, paths, terminal)
    _check_k(request.k, len(X))
    encoder = make_encoder(spec, **options)  # a model has no cache
    encode_nouns(words, encoder, terminal)
    selector, k = None, request.k or "auto"
    if k == "auto" and request.max_k is not None:
        selector = choose_n_clusters(X, request.max_k, request.seed, terminal)
        k = selector.n_clusters_
    folder = output.checkpoints
    folder.mkdir(exist_ok=True)
    estimator = fit_method(request, k, X, words, encoder, folder, terminal)
    search = ImageSearch(encoder, random_state=request.seed).fit(X, paths=paths[kept])
    model = Model(
        estimator,
        search,
        names_of(estimator),
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
    sure = getattr(estimator, "name_confidences_", [])
    confidences = {c: round(float(x), 4) for c, x in enumerate(sure) if x == x}
    return {
        "method": model.method,
        "encoder": model.encoder,
        "encoder_id": model.search.encoder_id_,
        "semantic_weight": None if weight is None else round(float(weight), 4),
        "n_images": len(labels),
        "n_clusters": estimator.n_clusters_,
        "k_candidates": [[int(k), round(score, 4)] for k, score in candidates],
        "clusters": [
            {
                "cluster": c,
                "size": int((labels == c).sum()),
                "names": model.names[c] if c < len(model.names) else [],
                "confidence": confidences.get(c),
            }
            for c in range(estimator.n_clusters_)
        ],
    }
