"""``vlclust cluster``."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from .._backend._text import counted
from . import _options
from ._encoders import AUTO
from ._errors import EPILOG, open_in_browser
from ._images import show_left_out
from ._options import Sorting
from ._terminal import Terminal, print_table, say


def cluster(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            metavar="FOLDER",
            help="Pictures, including those in subfolders.",
        ),
    ],
    k: Annotated[
        str, typer.Option("--k", metavar="auto|N", help="Number of clusters.")
    ] = "auto",
    method: _options.Method = "vl",
    encoder: _options.Encoder = AUTO,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the results go.",
            show_default="./<name of FOLDER>-clusters",
        ),
    ] = None,
    words: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Nouns, one per line, or a .csv with synonyms; wordnet: its 82,115; "
            "none: no names.",
        ),
    ] = "wordnet",
    link: Annotated[
        bool, typer.Option("--link", help="Also link images to DIR/images/CLUSTER/.")
    ] = False,
    copy: Annotated[
        bool, typer.Option("--copy", help="Also copy images to DIR/images/CLUSTER/.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Allow a DIR that holds something else. Only what vlclust wrote is "
            "replaced; your own file of that name becomes FILE.old.",
        ),
    ] = False,
    max_k: Annotated[
        int | None,
        typer.Option(min=2, help="Largest number of clusters for --k auto."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same clusters.")
    ] = 0,
    cache: _options.Cache = None,
    exclude: _options.Exclude = None,
    device: _options.Device = "auto",
    batch_size: _options.BatchSize = None,
    open_: _options.Open = False,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Cluster a folder of pictures and name the clusters.

    Writes DIR/report.html, DIR/clusters.csv (path, cluster, probability, name) and
    DIR/model/, which the other commands read. The same command resumes a run that was
    interrupted. No picture is embedded twice, whatever the options.

    Example: vlclust cluster photos --open
    """
    if link and copy:
        raise typer.BadParameter("--link and --copy exclude each other.")
    from ._run import Request, run

    request = Request(
        folder=folder,
        out=out or Path(f"{_name_of(folder)}-clusters"),
        k=read_k(k),
        method=method,
        encoder=encoder,
        words=words,
        max_k=max_k,
        seed=seed,
        exclude=tuple(exclude or ()),
        device=device,
        batch_size=batch_size,
        cache=cache,
        sorting=Sorting.link if link else Sorting.copy if copy else None,
        overwrite=overwrite,
    )
    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        result = {"command": "cluster", **run(request, terminal)}
    if not json:
        show(result)
    if open_:
        open_in_browser(result["report"])
    return result


cluster.__doc__ = f"{cluster.__doc__}\n    {EPILOG}\n"


def show(result):
    """Print the result of a run as text."""
    from ..semantics.detection import UNSURE

    def names_of(cluster):
        confidence = cluster.get("confidence")
        unsure = confidence is not None and confidence < UNSURE
        return ("perhaps " if unsure else "") + ", ".join(cluster["names"][:4])

    print_table(
        [">cluster", ">size", "names"],
        [(c["cluster"], c["size"], names_of(c)) for c in result["clusters"]],
    )
    show_left_out(result["errors"], say, result["left_out"])
    weight = result["semantic_weight"]
    trust = "" if weight is None else f", weight of words {weight:.2f}"
    again = result.get("finished_before")
    time = "" if again else f", {result['seconds']:.0f} s"
    say(
        f"{counted(result['n_images'], 'image')} in "
        f"{counted(result['n_clusters'], 'cluster')} by "
        f"{result['method']} on {result['encoder']}{trust}{time}"
    )
    others = [k for k, _ in result["k_candidates"] if k != result["n_clusters"]][:2]
    if others:
        command = shlex.join(["vlclust", "recut", _shortest(result["out"])])
        say(
            f"Number of clusters: {result['n_clusters']}; also "
            f"{' and '.join(map(str, others))} ({command} --k {others[0]})"
        )
    say(f"Report: {result['report']}")
    if again:
        say("This run was finished before, and no picture has changed: nothing to do.")


def _shortest(path):
    """Return a path as seen from here, if that is shorter."""
    return min(path, os.path.relpath(path), key=len)


def read_k(text):
    """Return the number that ``--k`` says; None for auto."""
    if text == "auto":
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"--k is {text!r}; expected auto or a number from 1.")
    return int(text)


def _name_of(folder):
    name = os.path.basename(os.path.abspath(os.path.expanduser(folder)))
    return name or "pictures"
