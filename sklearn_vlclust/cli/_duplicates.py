"""``vlclust duplicates``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .._backend._text import counted
from . import _options
from ._encoders import AUTO
from ._encoders import HELP as ENCODER_HELP
from ._terminal import Terminal, print_table, say

_COLUMNS = "group", "path", "other", "reason", "similarity"
_SHOWN = 20


def duplicates(
    folder: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            metavar="FOLDER",
            help="Pictures, including those in subfolders.",
        ),
    ],
    table: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write all pairs as a table."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing table.")
    ] = False,
    encoder: Annotated[
        str,
        typer.Option(
            metavar="ENCODER",
            help=f"none (compares bytes and pixels alone, faster); {ENCODER_HELP}",
        ),
    ] = AUTO,
    cache: _options.Cache = None,
    exclude: _options.Exclude = None,
    device: _options.Device = "auto",
    batch_size: _options.BatchSize = None,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Find pictures of a folder that are there more than once.

    Shows groups of copies: of the same bytes (exact), of the same picture saved again,
    resized, cropped a little or mirrored (perceptual), or unusually near for the
    encoder (embedding). Nothing is deleted.

    Example: vlclust duplicates photos --csv copies.csv
    """
    from ..neighbors import find_duplicates
    from ._assignments import check_csv_target, write_csv
    from ._encoders import choose_encoder, default_cache, embed, make_encoder
    from ._images import list_pictures, show_left_out

    if table is not None:
        check_csv_target(
            table, overwrite, _COLUMNS, "a table of vlclust duplicates", "--csv"
        )
    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        paths, errors = list_pictures(folder, exclude=exclude or ())
        X = None
        if encoder != "none":
            embedder = make_encoder(
                choose_encoder(encoder, terminal),
                device=device,
                batch_size=batch_size,
                cache=cache or default_cache(),
            )
            X, kept, unreadable = embed(embedder, paths, terminal)
            paths, errors = paths[kept], errors + unreadable
        with terminal.stage(f"Comparing {counted(len(paths), 'image')}"):
            found = find_duplicates(paths, embeddings=X, on_error="skip")
    errors += [{"path": path, "reason": reason} for path, reason in found.errors]
    group = {int(i): number for number, own in enumerate(found.groups) for i in own}
    order = sorted(range(len(found.pairs)), key=lambda p: group[int(found.pairs[p, 0])])
    pairs = [
        {
            "group": group[int(found.pairs[p, 0])],
            "path": str(paths[found.pairs[p, 0]]),
            "other": str(paths[found.pairs[p, 1]]),
            "reason": str(found.reasons[p]),
            "similarity": round(float(found.similarities[p]), 6),
        }
        for p in order
    ]
    if table is not None:
        write_csv(pairs, table, _COLUMNS)
    result = {
        "command": "duplicates",
        "csv": None if table is None else os.path.abspath(table),
        "n_images": len(found.kept),
        "groups": [[str(paths[i]) for i in own] for own in found.groups],
        "pairs": pairs,
        "thresholds": {
            # JSON has no infinity.
            reason: round(least, 6) if least < float("inf") else None
            for reason, least in found.thresholds.items()
        },
        "errors": errors,
        "warnings": terminal.warnings,
    }
    show_left_out(errors, terminal.remark, "what --json prints")
    if not json:
        _show(result, folder)
    return result


def _show(result, folder):
    """Print the groups of copies, the largest first."""
    reasons: dict[int, set[str]] = {}
    for pair in result["pairs"]:
        reasons.setdefault(pair["group"], set()).add(pair["reason"])
    groups = sorted(enumerate(result["groups"]), key=lambda item: -len(item[1]))
    root = os.path.abspath(os.path.expanduser(folder))
    rows = []
    for number, paths in groups[:_SHOWN]:
        names = ", ".join(os.path.relpath(path, root) for path in paths[:4])
        names += f", {len(paths) - 4:,} more" if len(paths) > 4 else ""
        rows.append((number, len(paths), ", ".join(sorted(reasons[number])), names))
    if rows:
        print_table([">group", ">size", "known by", "pictures"], rows)
    if len(groups) > _SHOWN:
        say(f"{counted(len(groups) - _SHOWN, 'more group')}: --csv FILE writes all.")
    spare = sum(map(len, result["groups"])) - len(groups)
    say(
        f"{counted(result['n_images'], 'image')}: {counted(len(groups), 'group')} of "
        f"copies, {counted(spare, 'more picture')} than without copies"
    )
    if result["csv"] is not None:
        say(f"Table: {result['csv']}")
