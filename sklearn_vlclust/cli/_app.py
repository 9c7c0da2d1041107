"""The commands of ``vlclust``."""

import typer

from ._cluster import cluster
from ._doctor import doctor
from ._duplicates import duplicates
from ._errors import EPILOG, OneLineErrors
from ._export import export
from ._predict import predict
from ._recut import recut
from ._report import report
from ._search import search

app = typer.Typer(
    name="vlclust",
    cls=OneLineErrors,
    help="Cluster pictures, name the clusters, and search the pictures by image or "
    "text. Pictures are read, never changed.",
    epilog=f"Example: vlclust cluster photos --open. {EPILOG}",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (cluster, recut, predict, search, duplicates, export, report, doctor):
    app.command()(command)


def _version(wanted: bool):
    if wanted:
        from .._version import __version__

        typer.echo(f"vlclust {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
):
    pass
