"""From a report to HTML."""

import base64
import hashlib
import json
from importlib.resources import files

import numpy as np

from ...semantics.detection import UNSURE
from .._embedding_map import NOISE, color_and_marker
from .curve import draw_curve

# Each may use those above it.
SCRIPTS = (
    "elements.js",
    "data.js",
    "theme.js",
    "sprites.js",
    "search.js",
    "selection.js",
    "grid.js",
    "dialog.js",
    "clusters.js",
    "overview.js",
    "map_view.js",
    "map.js",
    "lasso.js",
    "findings.js",
    "filter.js",
    "main.js",
)


def render(report):
    """Return a :class:`ClusterReport` as an HTML document."""
    import jinja2
    from markupsafe import Markup

    folder = files(__package__) / "page"
    style = (folder / "style.css").read_text(encoding="utf-8")
    script = "".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            value
            if not isinstance(value, str) or isinstance(value, Markup)
            else writable(value)
        ),
    )
    template = environment.from_string(
        (folder / "template.html.j2").read_text(encoding="utf-8")
    )
    n = sum(report.sizes.values())
    return template.render(
        title=report.title or f"Clusters of {n:,} images",
        n=n,
        n_shown=len(report.labels),
        k=sum(label >= 0 for label in report.sizes),
        noise=report.sizes.get(-1, 0),
        report=report,
        params=report.params or {},
        curves=[draw_curve(curve) for curve in report.curves],
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(to_json(page_data(report))),
        thumbnails=Markup(
            "\n".join(base64.b64encode(t).decode() for t in report.thumbnails.sheets)
        ),
    )


def writable(text):
    r"""Return a text that HTML and UTF-8 can hold: other characters become ``\xNN``."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(
        f"\\x{ord(c):02x}" if c not in "\t\n" and _is_control(c) else c for c in text
    )


def _is_control(character):
    return ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0


def to_json(value):
    """Return JSON that is safe inside a script element: ASCII, without < > &."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def page_data(report):
    """Return what the script of the page reads, as JSON values."""
    clusters = sorted(label for label in report.sizes if label >= 0)
    number = {label: i for i, label in enumerate(clusters)}
    names = report.cluster_names or {}
    confidences = report.name_confidences or {}
    none = np.full(len(report.labels), np.nan)
    rival, rival_score = report.rivals or (none, none)
    return {
        "images": {
            "name": [str(name) for name in report.image_names],
            "cluster": [number.get(int(label), -1) for label in report.labels],
            "place": _digits(_unit_square(report.coordinates), 4),
            "typicality": _digits(report.typicality, 3),
            "certainty": _digits(report.certainty, 3),
            "rival": [number.get(label, -1) for label in rival.tolist()],
            "rivalScore": _digits(rival_score, 3),
            "tile": report.thumbnails.tiles.tolist(),
        },
        "columns": report.thumbnails.columns,
        "folder": report.folder,
        "clusters": [
            {
                "label": label,
                "size": report.sizes[label],
                **dict(zip(("color", "marker"), color_and_marker(label))),
                "names": [[n, *_digits([s], 5)] for n, s in names.get(label, [])],
                "perhaps": confidences.get(label, 1) < UNSURE,
            }
            for label in clusters
        ],
        "noise": {"size": report.sizes.get(-1, 0), "color": NOISE},
        "similarities": _digits(report.similarities, 3),
        "order": _alike_first(report.similarities),
        "duplicates": report.duplicates,
        "outliers": [[i, round(score, 1)] for i, score in report.outliers],
        "flaws": report.flaws or {},
        "certaintyName": report.certainty_name,
        "nameScore": report.name_score,
        "search": report.search and report.search.to_json(),
    }


def _digits(values, digits):
    """Return rounded floats as lists, with None for non-finite values."""
    array = np.round(np.asarray(values, dtype=float), digits)
    known = array.astype(object)
    known[~np.isfinite(array)] = None
    return known.tolist()


def _unit_square(coordinates):
    """Return places scaled to the unit square, with their proportions kept."""
    places = np.asarray(coordinates, dtype=float)
    low, high = places.min(axis=0), places.max(axis=0)
    span = max((high - low).max(), 1e-12)
    return 0.5 + (places - (low + high) / 2) / span


def _alike_first(similarities):
    """Return an order of the clusters that puts similar ones next to each other."""
    k = len(similarities)
    if k < 3:
        return list(range(k))
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distances = np.clip(1 - np.asarray(similarities, dtype=float), 0, None)
    np.fill_diagonal(distances, 0)
    condensed = squareform((distances + distances.T) / 2, checks=False)
    tree = linkage(condensed, "average", optimal_ordering=k <= 300)
    return [int(i) for i in leaves_list(tree)]


def _hash(text):
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return base64.b64encode(digest).decode()
