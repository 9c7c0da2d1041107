"""``vlclust search``."""

import os
from typing import Annotated

import typer

from . import _options
from ._terminal import Terminal, print_table


def search(
    model: _options.Model,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="An image if a file has that name, else a text."
        ),
    ],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of images to find.")] = 10,
    text: Annotated[
        bool,
        typer.Option("--text", help="QUERY is a text, even if it names a file."),
    ] = False,
    image: Annotated[bool, typer.Option("--image", help="QUERY is an image.")] = False,
    device: _options.Device = "auto",
    json: _options.Json = False,
    debug: _options.Debug = False,
):
    """Find the pictures of a model that are nearest to an image or a text.

    Distances are one minus the cosine, nearest first. A text is far from all pictures,
    so only the ranking means something.

    Example: vlclust search photos-clusters "a dog on grass" -n 20
    """
    if text and image:
        raise typer.BadParameter("--text and --image exclude each other.")
    from ._assignments import first_name
    from ._encoders import default_cache
    from ._model import Model

    path = os.path.abspath(os.path.expanduser(query))
    by_image = image or (not text and os.path.isfile(path))
    terminal = Terminal(debug)
    with terminal.remarks_of_the_library():
        fitted = Model.load(model, device=device, cache=default_cache())
        index, labels = fitted.search, fitted.estimator.labels_
        n = min(n, index.n_samples_fit_)
        if by_image:
            distances, found = index.kneighbors([path], n)
        else:
            distances, found = index.kneighbors_text([query], n)
    results = [
        {
            "path": str(index.paths_[i]),
            "distance": round(float(distance), 6),
            "cluster": int(labels[i]),
            "name": first_name(fitted.names, int(labels[i])),
        }
        for i, distance in zip(found[0], distances[0])
    ]
    if not json:
        print_table(
            [">distance", ">cluster", "name", "path"],
            [
                (f"{r['distance']:.3f}", r["cluster"], r["name"], r["path"])
                for r in results
            ],
        )
    return {
        "command": "search",
        "query": path if by_image else query,
        "kind": "image" if by_image else "text",
        "results": results,
        "warnings": terminal.warnings,
    }
