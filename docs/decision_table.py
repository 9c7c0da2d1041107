"""Which method to use, and what each paper's method gives, from the results.

Both are computed from the files of benchmarks/results when the pages are built. A row
whose results are not there is left out.
"""

import re
from pathlib import Path
from statistics import mean

from results_plot import latest
from results_table import RESULTS, list_table, marked_up

CLASSES = {
    "VLClustering()": "VLClustering",
    "MCAClustering()": "MCAClustering",
    "RateReductionClustering()": "RateReductionClustering",
    "ContrastiveMaskedClustering()": "ContrastiveMaskedClustering",
    "GenerativeCalibrationClustering()": "GenerativeCalibrationClustering",
}
PUBLISHED = "accuracy", "rate_reduction", "masked_embeddings", "generative_embeddings"
# Of a method in two files, the figures of the last count.
EMBEDDINGS = (*PUBLISHED, "vl")
WITH_WORDS = "VLClustering()", "MCAClustering()", "k-means, [image; text]"
PIXELS = "masked_digits", "generative_digits"
COVERED = 0.5  # of semantic_weight_: above it, words were trusted
# Tables that the pages of the papers show: files and columns.
PAPERS = {
    "mca": (("accuracy", "what ACC NMI ARI seconds"), ("ablation", "what ACC ACC_std")),
    "cpp": (
        ("rate_reduction", "what ACC ACC_std NMI ARI seconds"),
        ("rate_reduction_imbalance", "what ACC ACC_std"),
        ("captions", "what clusters named"),
        ("k_estimates", "data classes reproducibility coding_length"),
    ),
    "pici": (
        ("masked_embeddings", "what ACC ACC_std NMI ARI seconds"),
        ("masked_digits", "what ACC ACC_std NMI ARI seconds"),
        ("masked_ablation", "what ACC ACC_std"),
        ("masked_cifar10", "what ACC NMI ARI seconds"),
    ),
    "gcc": (
        ("generative_digits", "what ACC ACC_std NMI ARI seconds"),
        ("generative_embeddings", "what ACC ACC_std NMI ARI seconds"),
        ("generative_imbalance", "what ACC ACC_std NMI ARI"),
        ("generative_cifar10", "what ACC NMI ARI seconds"),
        ("generative_round", "what seconds cached_times_as_fast"),
    ),
}


def choose(figures):
    """Return who is best: all whose mean is within a standard deviation of the best.

    Parameters
    ----------
    figures : dict of str to (float, float)
        Mean and standard deviation of each method, more is better.
    """
    top, spread = max(figures.values())
    return [
        name
        for name, (value, own) in figures.items()
        if top - value <= max(spread, own)
    ]


def decisions(results=RESULTS):
    """Return a record for each thing that may be known: what to take, and why."""
    records = []
    embedded = _means(_tables(EMBEDDINGS, results))
    words = _words(results)
    for known, names, drop in (
        (
            "an encoder (CLIP) knows the images, and nouns describe them",
            [name for name, weight in words.items() if weight >= COVERED],
            (),
        ),
        (
            "an encoder knows the images, nouns hardly describe them (textures, models "
            "of cars)",
            [name for name, weight in words.items() if weight < COVERED],
            (),
        ),
        (
            "an encoder knows the images, and words are not wanted",
            list(words),
            WITH_WORDS,
        ),
    ):
        figures = _over(embedded, names, drop)
        records.append(
            _record(known, figures, "ACC on " + ", ".join(map(_short, names)))
        )
    small = _means(_tables(PIXELS, results))
    for title in small:
        known = "no encoder knows the images; they are small and simple"
        records.append(_record(known, small[title], "ACC on " + _short(title)))
    for title, figures in _means(_tables(["masked_cifar10"], results)).items():
        known = "no encoder knows the images; photographs, no GPU"
        records.append(_record(known, figures, "ACC on " + _short(title)))
    uneven = _means(_tables(["rate_reduction_imbalance"], results))
    halved = [title for title in uneven if "halved" in title]
    known = "classes differ in size, embeddings"
    about = "ACC with every other class halved, mean of four sets"
    records.append(_record(known, _over(uneven, halved), about))
    quartered = _means(_tables(["vl", "vl_parts"], results))
    titles = [title for title in quartered if "quartered" in title]
    known = "classes differ much in size, embeddings, and nouns describe them"
    sets = " and ".join(map(_short, titles))
    about = f"ACC with every second class quartered, mean of {sets}"
    records.append(_record(known, _over(quartered, titles), about))
    for title, figures in _means(_tables(["generative_imbalance"], results)).items():
        known = "classes differ in size, small images without an encoder"
        records.append(_record(known, figures, "ACC on " + _short(title)))
    records.append(_unknown_number(results))
    records += [_fastest(results), _largest(results)]
    return [record for record in records if record]


def paper_tables(name, results=RESULTS):
    """Return the tables of the page of a paper."""
    parts = []
    for file, columns in PAPERS[name]:
        report = latest(file, results)
        if report is None:
            continue
        parts.append(f"``{report['command']}``\n")
        for title, rows in report["tables"].items():
            kept = [
                {c: _plain(row[c]) for c in columns.split() if c in row} for row in rows
            ]
            # Some files have tables of another kind, on bars and times.
            if all(len(row) > 1 for row in kept):
                parts.append(list_table(title, kept, marked_up))
    return "\n".join(parts) or "No results are in ``benchmarks/results`` yet.\n"


def choosing_tables(results=RESULTS):
    """Return what it costs to choose without labels, over all sets."""
    report = latest("choosing", results)
    if report is None:
        return "No results are in ``benchmarks/results`` yet.\n"
    parts = [f"``{report['command']}``\n"]
    for title in ("methods, all", "numbers of clusters"):
        rows = [
            {key: _plain(value) for key, value in row.items() if key != "bar"}
            for row in report["tables"][title]
            if "n_folds" not in row["what"]
        ]
        parts.append(list_table(title.capitalize(), rows, marked_up))
    return "\n".join(parts)


def uneven_tables(results=RESULTS):
    """Return the tables of sets whose classes differ in size."""
    parts = []
    uneven = "rate_reduction_imbalance", "generative_imbalance"
    for name in ("vl", "vl_parts", *uneven):
        report = latest(name, results) or {"command": "", "tables": {}}
        tables = {
            title: [
                {key: _plain(row[key]) for key in ("what", "ACC", "ACC_std")}
                for row in rows
            ]
            for title, rows in report["tables"].items()
            if any(word in title for word in ("halved", "quartered", "cut to"))
        }
        if tables:
            parts.append(f"``{report['command']}``\n")
        parts += [list_table(*table, marked_up) for table in tables.items()]
    return "\n".join(parts) or "No results are in ``benchmarks/results`` yet.\n"


def write_pages(build, results=RESULTS):
    """Write what the pages include to a folder."""
    build = Path(build)
    build.mkdir(exist_ok=True)
    records = decisions(results)
    text = "No results are in ``benchmarks/results`` yet.\n"
    if records:
        text = list_table("What to take, by what is known", records, marked_up)
    (build / "decision.inc").write_text(text, encoding="utf-8")
    (build / "choosing.inc").write_text(choosing_tables(results), encoding="utf-8")
    (build / "uneven.inc").write_text(uneven_tables(results), encoding="utf-8")
    for name in PAPERS:
        page = paper_tables(name, results)
        (build / f"paper_{name}.inc").write_text(page, encoding="utf-8")


def _tables(files, results):
    """Return title -> rows of all files, those of one title together."""
    merged = {}
    for file in files:
        for title, rows in (latest(file, results) or {"tables": {}})["tables"].items():
            merged.setdefault(title, []).extend(rows)
    return merged


def _means(tables):
    """Return title -> method -> (ACC, its standard deviation)."""
    return {
        title: {
            row["what"]: (row["ACC"], row.get("ACC_std", 0.0))
            for row in rows
            if not row["what"].startswith("without ")  # ablations
        }
        for title, rows in tables.items()
        if "ACC" in rows[0]
    }


def _over(tables, titles, drop=()):
    """Return the mean over data sets of each method that was run on all of them."""
    if not titles:
        return {}
    names = [n for n in tables[titles[0]] if all(n in tables[t] for t in titles)]
    return {
        name: tuple(mean(tables[t][name][i] for t in titles) for i in (0, 1))
        for name in names
        if name not in drop
    }


def _words(results):
    """Return how far words were trusted on each data set."""
    tables = _tables(["accuracy"], results)
    found = {}
    for title, rows in tables.items():
        for row in rows:
            if "semantic_weight" in row:
                found[title] = mean(row["semantic_weight"])
    return found


def _record(known, figures, about):
    if not figures:
        return None
    ranked = sorted(figures.items(), key=lambda item: -item[1][0])
    best = choose(figures)
    measured = ", ".join(f"{_plain(name)} {acc:.1f}" for name, (acc, _) in ranked)
    return {
        "what is known": known,
        "take": " or ".join(_link(name) for name, _ in ranked if name in best),
        "measured": f"{about}: {measured}",
    }


def _unknown_number(results):
    report = latest("k_estimates", results)
    if report is None:
        return None
    parts = [
        f"{row['data']} {row['classes']}: {min(row['reproducibility'])} to "
        f"{max(row['reproducibility'])}"
        for row in report["tables"]["estimates"]
        if row["data"] != "subspaces"
    ]
    return {
        "what is known": "the number of clusters is not known",
        "take": '``n_clusters="auto"`` of any clusterer, or '
        ":class:`~sklearn_vlclust.CodingLengthKSelector` before another",
        "measured": "classes and estimates: " + ", ".join(parts),
    }


def _fastest(results):
    tables = _tables(PUBLISHED, results)
    times = {}
    tables = {title: rows for title, rows in tables.items() if "ACC" in rows[0]}
    for rows in tables.values():
        for row in rows:
            if "seconds" in row and row["what"] in CLASSES:
                times.setdefault(row["what"], []).append(row["seconds"])
    if not times:
        return None
    ranked = sorted((mean(own), name) for name, own in times.items())
    measured = ", ".join(f"{_plain(name)} {value:.0f}" for value, name in ranked)
    return {
        "what is known": "it has to be quick",
        "take": _link(ranked[0][1]),
        "measured": f"seconds per fit, mean of {len(tables)} sets: {measured}",
    }


def _largest(results):
    report = latest("memory", results)
    if report is None:
        return None
    row = next(iter(report["tables"].values()))[0]
    return {
        "what is known": "there are millions of embeddings",
        "take": f"{_link('MCAClustering()')}, or any of them fitted on a "
        "sample, then `predict` of all",
        "measured": f"MCAClustering, one epoch of {row['rows']:,} rows: "
        f"{row['beyond_X_gib']:.1f} GiB beside the embeddings",
    }


def _short(title):
    return title.partition(":")[0]


def _plain(value):
    if not isinstance(value, str):
        return value
    return re.sub(r"([*`|\\])", r"\\\1", value.removesuffix("()"))


def _link(name):
    if name in CLASSES:
        return f":class:`~sklearn_vlclust.{CLASSES[name]}`"
    return _plain(name)
