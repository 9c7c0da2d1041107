"""``vlclust report``."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from . import _options
from ._errors import open_in_browser
from ._terminal import Terminal, say

_PAGE = re.compile(b"<!doctype html", re.IGNORECASE)


def report(
    model: _options.Model,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="HTML", help="The file.", show_default="report.html beside model/"
        ),
    ] = None,
    open_: _options.Open = False,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Write the report of a model again.

    The pictures must still be where they were.

    Example: vlclust report photos-clusters --open
    """
    from ._model import Model, find_model
    from ._output import check_target
    from ._run import write_report

    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        folder = find_model(model)
        path = Path(os.path.abspath(out or folder.parent / "report.html"))
        check_target(path, _PAGE, "an HTML page")
        write_report(Model.load(folder), path, terminal)
    if not json:
        say(f"Report: {path}")
    if open_:
        open_in_browser(path)
    return {"command": "report", "report": str(path), "warnings": terminal.warnings}
