"""The cluster of each image, as rows of CSV and JSON."""

import csv
import io
import re
import unicodedata

import numpy as np

from .._backend._files import write_bytes_atomically
from ._errors import OCCUPIED, CommandError
from ._output import check_target
from ._terminal import printable

COLUMNS = "path", "cluster", "probability", "name"
# Of new pictures, as they may fit no cluster
PREDICTED = *COLUMNS, "nearest", "fit"
UNKNOWN = -1  # the cluster of pictures that fit none
# Spreadsheets run cells that start with these as formulas.
_FORMULA = "=+-@"


def assignments(paths, proba, names):
    """Return a dict with the keys `COLUMNS` for each image.

    `proba` has shape (n_images, n_clusters). `names` holds the names of each cluster,
    best first, or nothing.
    """
    labels = proba.argmax(axis=1)
    best = proba[np.arange(len(proba)), labels]
    return [
        {
            "path": str(path),
            "cluster": int(label),
            "probability": round(float(p), 6),
            "name": first_name(names, label),
        }
        for path, label, p in zip(paths, labels, best)
    ]


def mark_unknown(rows, p_values, share):
    """Return `assignments` of new images with the keys `PREDICTED`.

    `p_values` tell for each image what share of the images of the run is as unusual;
    up to `share`, it is marked as fitting no cluster.
    """
    return [
        {
            **row,
            **({"cluster": UNKNOWN, "name": ""} if p <= share else {}),
            "nearest": row["cluster"],
            "fit": round(float(p), 4),
        }
        for row, p in zip(rows, p_values)
    ]


def first_name(names, cluster):
    """Return the best name of a cluster, or "" if it has none."""
    if cluster >= len(names) or not len(names[cluster]):
        return ""
    return str(names[cluster][0])


def to_csv(rows, columns=COLUMNS):
    """Return rows as the text of a CSV file (RFC 4180), with a header.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_safe(row[column]) for column in columns])
    return text.getvalue()


def _safe(value):
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def _is_formula(text):
    """Whether a spreadsheet may take a text for a formula.

    Some leave out spaces, marks of byte order and other characters that are not seen,
    and read full-width signs as the plain ones.
    """
    for character in text:
        if character in "\t\r\n":
            return True
        if unicodedata.category(character)[0] not in "ZC":
            plain = unicodedata.normalize("NFKC", character)
            return plain[0] in _FORMULA or character == "−"
    return False


def encode_csv(rows, columns=COLUMNS):
    """Return `to_csv` in UTF-8; file names in other encodings keep their bytes."""
    return to_csv(rows, columns).encode("utf-8", "surrogateescape")


def write_csv(rows, path, columns=COLUMNS):
    """Write rows to a file, as of `encode_csv`."""
    write_bytes_atomically(path, encode_csv(rows, columns))


def print_csv(rows, stream, columns=COLUMNS):
    """Write rows to a stream, on a terminal without control characters."""
    text = to_csv(rows, columns)
    if stream.isatty():
        for line in text.split("\r\n")[:-1]:
            stream.write(printable(line) + "\n")
        return
    stream.flush()
    stream.buffer.write(encode_csv(rows, columns))


def check_csv_target(
    path, overwrite, columns=COLUMNS, name="a table of vlclust", option="--out"
):
    """Raise if writing a table to `path` would replace a file of the user."""
    heading = re.compile(",".join(columns).encode())
    if check_target(path, heading, name, option) and not overwrite:
        raise CommandError(
            f"{option} {str(path)!r} is there; --overwrite replaces it.", OCCUPIED
        )
