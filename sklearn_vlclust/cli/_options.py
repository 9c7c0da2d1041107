"""Values of options, and options that several commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Method(StrEnum):
    """Values of ``--method``, each with the name of its class in `cluster`."""

    vl = "vl", "VLClustering"
    mca = "mca", "MCAClustering"
    rate_reduction = "rate-reduction", "RateReductionClustering"
    contrastive_masked = "contrastive-masked", "ContrastiveMaskedClustering"
    generative = "generative", "GenerativeCalibrationClustering"

    estimator: str

    def __new__(cls, value: str, estimator: str):
        method = str.__new__(cls, value)
        method._value_, method.estimator = value, estimator
        return method


class Sorting(StrEnum):
    """How images are put into the folders of clusters."""

    link = "link"
    copy = "copy"


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
Json = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
Open = Annotated[bool, typer.Option("--open", help="Show the report in the browser.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
