"""``vlclust predict``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .._backend._text import counted
from . import _options
from ._terminal import Terminal


def predict(
    model: _options.Model,
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True, metavar="FOLDER", help="Pictures: a folder, or one file."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Where the table goes; stdout if not given."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing table.")
    ] = False,
    cache: _options.Cache = None,
    unknown: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0,
            max=1,
            help="Mark pictures that are less like those of the run than all but this "
            "share of these are like each other; 0 marks none.",
        ),
    ] = 0.05,
    exclude: _options.Exclude = None,
    device: _options.Device = "auto",
    batch_size: _options.BatchSize = None,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Assign new pictures to the clusters of a model.

    The table has the columns of clusters.csv (path, cluster, probability, name), and
    two more: fit, the share of the pictures of the run that are as unusual as this one
    or more; nearest, the likeliest cluster. A picture that fits no cluster has cluster
    -1 and no name.

    Example: vlclust predict photos-clusters more_photos --out more.csv
    """
    from ..neighbors.novelty import novelty_p_values
    from ._assignments import (
        PREDICTED,
        UNKNOWN,
        assignments,
        check_csv_target,
        mark_unknown,
        print_csv,
        write_csv,
    )
    from ._encoders import default_cache, embed
    from ._images import list_pictures, show_left_out
    from ._model import Model

    if out is not None:
        check_csv_target(out, overwrite)
    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        options = {"batch_size": batch_size, "cache": cache or default_cache()}
        fitted = Model.load(model, device=device, **options)
        folder = Path(os.path.abspath(folder.expanduser()))
        fitted.check_encoder()
        paths, left_out = [str(folder)], []
        if not folder.is_file():
            paths, left_out = list_pictures(folder, exclude=exclude or ())
        X, kept, errors = embed(fitted.search.embedder, paths, terminal)
        errors = left_out + errors
        proba = fitted.estimator.predict_proba(X)
        rows = assignments([paths[i] for i in kept], proba, fitted.names)
        rows = mark_unknown(rows, novelty_p_values(X, fitted.embeddings), unknown)
    if out is not None:
        write_csv(rows, out, PREDICTED)
    elif not json:
        print_csv(rows, sys.stdout, PREDICTED)
    n_unknown = sum(row["cluster"] == UNKNOWN for row in rows)
    if n_unknown and not json:
        terminal.remark(
            f"{counted(n_unknown, 'picture')} of {len(rows):,} fit no cluster "
            f"(cluster {UNKNOWN}; --unknown {unknown:g})"
        )
    show_left_out(errors, terminal.remark, "what --json prints")
    return {
        "command": "predict",
        "out": None if out is None else os.path.abspath(out),
        "n_images": len(rows),
        "n_unknown": n_unknown,
        "images": rows,
        "errors": errors,
        "warnings": terminal.warnings,
    }
