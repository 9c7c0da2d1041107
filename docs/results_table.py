"""The results of `make bench` as tables of the documentation and of the README.

    python docs/results_table.py    # renews the table of the README

A file of benchmarks/results has `"tables"`, title -> list of rows, and says by which
`"command"` and on which `"machine"`. The README shows some
of them, one row per data set.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# In the README: MCA and what needs no training, the other published methods, and the
# default estimator, if it has been measured.
SHOWN = "accuracy", "rate_reduction", "masked_embeddings", "generative_embeddings"
DEFAULT = "vl"
MARKERS = "<!-- results:start -->", "<!-- results:end -->"


def read(path):
    """Return what a file of results holds."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def cells(records):
    """Return the header and the rows of a table, as text."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    rows = [[_text(record.get(c)) for c in columns] for record in records]
    return [column.replace("_", " ") for column in columns], rows


def compare(tables, *without_words, default=None):
    """Return the files of the README as records, one per data set."""
    records = []
    for data, rows in tables.items():
        of = {row["what"]: row for row in rows}
        cpp, pici, gcc = (other[data][-1] for other in without_words)
        alone = [of[what]["ACC"] for what in ("k-means", "Ward", "spectral, kNN")]
        ours = {row["what"]: row for row in (default or {}).get(data, ())}
        vl = ours.get("VLClustering()")
        mca = ours.get("MCAClustering()", of["MCAClustering()"])
        weights = (vl or mca)["semantic_weight"]
        records.append(
            {
                "data": data,
                **({"VLClustering": _with_spread(vl)} if vl else {}),
                "k-means": f"{alone[0]:.1f}",
                "best of three": f"{max(alone):.1f}",
                "rate reduction": _with_spread(cpp),
                "contrastive, masked": _with_spread(pici),
                "generative": _with_spread(gcc),
                "with words": f"{of['k-means, [image; text]']['ACC']:.1f}",
                "MCA, with words": _with_spread(mca),
                "weight": f"{sum(weights) / len(weights):.2f}",
            }
        )
    return records


def _with_spread(row):
    return f"{row['ACC']:.1f} ± {row['ACC_std']:.1f}"


def markdown(records):
    """Return the records as a Markdown table."""
    header, rows = cells(records)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def list_table(title, records, escape):
    """Return the records as a table of reStructuredText.

    `escape` makes the text of a cell: `plain`, or `marked_up`.
    """
    header, rows = cells(records)
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        for i, cell in enumerate(row):
            lines.append(f"   {'  ' if i else '* '}- {escape(cell)}".rstrip())
    return "\n".join(lines) + "\n"


def plain(cell):
    """Return a cell whose characters stand for themselves."""
    return re.sub(r"([-*_`|\\])", r"\\\1", cell)


def marked_up(cell):
    """Return a cell that may have markup; a dash, which would be a list, is empty."""
    return "" if cell == "-" else cell


def restructured(path):
    """Return a file of results as a section of reStructuredText."""
    results = read(path)
    title = Path(path).stem.replace("_", " ").replace("-", ", ").capitalize()
    lines = [title, "-" * len(title), "", f"``{results['command']}``"]
    if machine := results.get("machine"):
        facts = (f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
        lines += ["", f"On: {', '.join(facts)}."]
    for name, records in results["tables"].items():
        lines += ["", list_table(name, records, plain).rstrip("\n")]
    return "\n".join(lines) + "\n"


def write_page(target):
    """Write all results that are there to a file for ``.. include::``."""
    parts = [restructured(path) for path in sorted(RESULTS.glob("*.json"))]
    text = "\n".join(parts) or "No results are in ``benchmarks/results`` yet.\n"
    Path(target).parent.mkdir(exist_ok=True)
    Path(target).write_text(text, encoding="utf-8")


def renew_readme(readme=ROOT / "README.md", results=RESULTS):
    """Put the results, one row per data set, between the markers of the README."""
    files = (read(results / f"{name}.json")["tables"] for name in SHOWN)
    default = results / f"{DEFAULT}.json"
    default = read(default)["tables"] if default.exists() else None
    table = markdown(compare(*files, default=default))
    text = Path(readme).read_text(encoding="utf-8")
    pattern = re.compile("(?<={})\n.*?(?={})".format(*MARKERS), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{readme} does not have {' and '.join(MARKERS)}.")
    text = pattern.sub(lambda _: f"\n{table}\n", text)
    Path(readme).write_text(text, encoding="utf-8")


def _text(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return str(value)


if __name__ == "__main__":
    renew_readme()
