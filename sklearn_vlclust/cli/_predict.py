"""``vlclust predict``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

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
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where embeddings are kept."),
    ] = None,
    exclude: _options.Exclude = None,
    device: _options.Device = "auto",
    batch_size: _options.BatchSize = None,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Assign new pictures to the clusters of a model.

    The table has the columns of clusters.csv: path, cluster, probability, name.
    """
    from ._assignments import assignments, check_csv_target, print_csv, write_csv
    from ._encoders import embed
    from ._images import list_pictures, show_left_out
    from ._model import Model

    if out is not None:
        check_csv_target(out, overwrite)
    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        fitted = Model.load(model, device=device, batch_size=batch_size, cache=cache)
        folder = Path(os.path.abspath(folder.expanduser()))
        fitted.check_encoder()
        paths, left_out = [str(folder)], []
        if not folder.is_file():
            paths, left_out = list_pictures(folder, exclude=exclude or ())
        X, kept, errors = embed(fitted.search.embedder, paths, terminal)
        errors = left_out + errors
        proba = fitted.estimator.predict_proba(X)
        rows = assignments([paths[i] for i in kept], proba, fitted.names)
    if out is not None:
        write_csv(rows, out)
    elif not json:
        print_csv(rows, sys.stdout)
    show_left_out(errors, terminal.remark, "what --json prints")
    return {
        "command": "predict",
        "out": None if out is None else os.path.abspath(out),
        "n_images": len(rows),
        "images": rows,
        "errors": errors,
        "warnings": terminal.warnings,
    }
