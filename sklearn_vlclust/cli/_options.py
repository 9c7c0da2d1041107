"""Values of options, and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .._exports import EXPORTS
from ._encoders import HELP as ENCODER_HELP

# Values of ``--method``, the folders of `cluster`, and their classes.
METHODS = {
    module.removeprefix("cluster.").replace("_", "-"): name
    for name, module in EXPORTS.items()
    if module.startswith("cluster.")
}


def _check_method(method):
    if method not in METHODS:
        raise typer.BadParameter(f"{method!r} is none of {', '.join(METHODS)}.")
    return method


class Sorting(StrEnum):
    """How images get into the folders of their clusters."""

    link = "link"
    copy = "copy"


Method = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        callback=_check_method,
        help="vl suits all pictures; others are published methods: "
        f"{', '.join(sorted({*METHODS} - {'vl'}))}.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="The --out folder of a run, or the model/ in it.",
        show_default=False,
    ),
]
Device = Annotated[
    str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1, mps.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Images per batch of the encoder.", show_default="64"),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Skip files and folders of this name or path below FOLDER, as '*.png' "
        "or '2019/*'; may be repeated.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where embeddings are kept, by content of the picture, for all runs.",
        show_default="VLCLUST_CACHE, or the user's cache folder",
    ),
]
Encoder = Annotated[str, typer.Option(metavar="ENCODER", help=ENCODER_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
Open = Annotated[bool, typer.Option("--open", help="Show the report in the browser.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
