"""``vlclust recut``."""

from pathlib import Path
from typing import Annotated

import typer

from . import _options
from ._cluster import read_k, show
from ._errors import open_in_browser
from ._terminal import Terminal


def recut(
    model: _options.Model,
    k: Annotated[
        str, typer.Option("--k", metavar="auto|N", help="Number of clusters.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the results go.",
            show_default="in place of those of MODEL",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Allow a DIR that holds something else.")
    ] = False,
    open_: _options.Open = False,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Cluster the pictures of a finished run into another number of clusters.

    No picture is read but for the report, and by --method vl nothing is trained: it
    takes seconds. Report, table, model and sorted images are replaced.

    Example: vlclust recut photos-clusters --k 7
    """
    from ._run import recut as run

    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        result = {
            "command": "recut",
            **run(model, read_k(k), out, overwrite, terminal),
        }
    if not json:
        show(result)
    if open_:
        open_in_browser(result["report"])
    return result
