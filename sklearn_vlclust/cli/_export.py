"""``vlclust export``: the clusters in the files of other programs."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .._backend._files import write_bytes_atomically
from .._backend._text import counted
from . import _options
from ._errors import OCCUPIED, USAGE, CommandError
from ._terminal import Terminal, say, to_json


class Format(StrEnum):
    """What another program reads."""

    csv = "csv"
    parquet = "parquet"
    fiftyone = "fiftyone"
    label_studio = "label-studio"


# What a format is written to below the folder of the run, if not to --out
_NAMES = {
    Format.csv: "clusters.csv",
    Format.parquet: "clusters.parquet",
    Format.fiftyone: "fiftyone",
    Format.label_studio: "label-studio",
}


def export(
    model: _options.Model,
    to: Annotated[Format, typer.Option("--to", help="What reads it.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="The file; for fiftyone and label-studio a folder.",
            show_default="in export/ beside model/",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there.")
    ] = False,
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Write the clusters of a finished run for another program.

    csv: path, cluster, probability, name. parquet: the same, and the embeddings.
    fiftyone: a FiftyOneImageClassificationDataset, which refers to the pictures where
    they are. label-studio: tasks with predictions, and the labeling interface.

    Example: vlclust export photos-clusters --to parquet
    """
    from ._model import find_model
    from ._output import Output

    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        folder = find_model(model)
        result = Output(folder.parent).read_result()
        if result is None or folder.name != "model":
            raise CommandError(
                f"{str(folder)!r} is not of a finished vlclust cluster: run it again.",
                USAGE,
            )
        target = Path(os.path.abspath(out or folder.parent / "export" / _NAMES[to]))
        files = _WRITERS[to](result["images"], target, folder)
        there = [path for path in files if os.path.lexists(path)]
        if there and not overwrite:
            raise CommandError(
                f"{str(there[0])!r} is there; --overwrite replaces it.", OCCUPIED
            )
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomically(path, content)
    if not json:
        say(f"{counted(len(result['images']), 'picture')}: {target}")
        if to in _NEXT:
            say(_NEXT[to].format(target=str(target)))
    return {
        "command": "export",
        "out": str(target),
        "files": [str(path) for path in files],
        "n_images": len(result["images"]),
        "warnings": terminal.warnings,
    }


_NEXT = {
    Format.fiftyone: (
        "In Python: fiftyone.Dataset.from_dir({target!r}, data_path='data.json', "
        "dataset_type=fiftyone.types.FiftyOneImageClassificationDataset)"
    ),
    Format.label_studio: (
        "In Label Studio, started with "
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true: paste interface.xml as the "
        "labeling interface, add the folder of the pictures as local storage, and "
        "import tasks.json."
    ),
}


def _label(row):
    """Return a name of a cluster that no other has, such as "3 giraffe"."""
    return f"{row['cluster']} {row['name']}".strip()


def _csv(rows, target, folder):
    from ._assignments import encode_csv

    return {target: encode_csv(rows)}


def _parquet(rows, target, folder):
    import io

    try:
        import polars as pl
    except ImportError as error:
        raise CommandError(
            "Parquet files are written by polars: pip install polars", 1
        ) from error
    from ..neighbors import ImageSearch

    embeddings = ImageSearch.load(folder / "search").embeddings[:]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["path"] = [_text(path) for path in columns["path"]]
    width = embeddings.shape[1]
    frame = pl.DataFrame(columns).with_columns(
        pl.Series("embedding", embeddings, dtype=pl.Array(pl.Float32, width))
    )
    file = io.BytesIO()
    frame.write_parquet(file)
    return {target: file.getvalue()}


def _fiftyone(rows, target, folder):
    names = [f"{i:07d}" for i in range(len(rows))]
    classes = list(dict.fromkeys(_label(row) for row in sorted(rows, key=_cluster)))
    labels = {
        "classes": classes,
        "labels": {
            name: {
                "label": _label(row),
                "confidence": row["probability"],
                "attributes": {"cluster": row["cluster"]},
            }
            for name, row in zip(names, rows)
        },
    }
    # Where the pictures are: nothing is copied.
    places = {name: row["path"] for name, row in zip(names, rows)}
    return {
        target / "data.json": to_json(places).encode(),
        target / "labels.json": to_json(labels).encode(),
    }


def _label_studio(rows, target, folder):
    from urllib.parse import quote
    from xml.sax.saxutils import quoteattr

    tasks = [
        {
            "data": {
                "image": "/data/local-files/?d=" + quote(_relative(row["path"])),
                "path": _text(row["path"]),
            },
            "predictions": [
                {
                    "model_version": "vlclust",
                    "score": row["probability"],
                    "result": [
                        {
                            "from_name": "cluster",
                            "to_name": "image",
                            "type": "choices",
                            "value": {"choices": [_label(row)]},
                        }
                    ],
                }
            ],
        }
        for row in rows
    ]
    labels = dict.fromkeys(_label(row) for row in sorted(rows, key=_cluster))
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in labels)
    interface = (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="cluster" toName="image">\n{choices}\n  </Choices>\n</View>\n'
    )
    return {
        target / "tasks.json": to_json(tasks).encode(),
        target / "interface.xml": interface.encode(),
    }


def _cluster(row):
    return row["cluster"]


def _relative(path):
    # Label Studio's root of local files is the root of the file system by default.
    return os.fsencode(path).lstrip(b"/")


def _text(path):
    """Return a path as text of UTF-8; bytes that are none become question marks."""
    return os.fsencode(path).decode("utf-8", "replace")


_WRITERS = {
    Format.csv: _csv,
    Format.parquet: _parquet,
    Format.fiftyone: _fiftyone,
    Format.label_studio: _label_studio,
}
