"""What many images cost in time, memory and money, from what was measured.

    python docs/cost_table.py --core-hour 0.03 --gpu-hour 2.5

Everything but the prices is read from benchmarks/results: from `scaling` core
seconds per row, and memory; from `gpu` images per second.
"""

import argparse
from pathlib import Path

from results_plot import latest
from results_table import RESULTS, list_table, marked_up

# Dollars an hour, an assumption: about what clouds list for a core rented by the hour
# with its share of a machine, and for an H200. Reserved or spot machines cost less.
CORE_HOUR, GPU_HOUR = 0.05, 4.0
IMAGES = 1_000_000, 100_000_000
WIDTH = 512  # of ViT-B/32's embeddings
HOUR, GIB = 3600.0, 2**30


def cost(n_images, core_hour=CORE_HOUR, gpu_hour=GPU_HOUR, results=RESULTS):
    """Return what it costs to embed and to cluster images, one record per step.

    A step that was measured on a core is counted in hours of one: it is divided by
    the cores there are, as images are independent of each other. The fit sees all
    images, or a sample of as many as were measured: nothing is extrapolated but what
    takes the same time for each row.

    Parameters
    ----------
    n_images : int
        Number of images.
    core_hour, gpu_hour : float
        Dollars an hour of a core, and of a GPU.
    results : path
        Folder of the results.

    Returns
    -------
    records : list of dict
        Step, hardware, rows, hours and dollars; last their sum, by the cheapest way
        to embed. Empty without results of `scaling` and `gpu`.
    """
    scaling, gpus = latest("scaling", results), _embedding_reports(results)
    if scaling is None or not gpus:
        return []
    fits, predicts, *_ = scaling["tables"].values()
    core = f"a core of {scaling['machine']['processor']}"
    embeddings = [_embed(n_images, gpu, core_hour, gpu_hour) for gpu in gpus]
    fit = min(fits, key=lambda row: abs(row["rows"] - n_images))
    predict = [row for row in predicts if row["what"] == "MCAClustering"][-1]
    what = "fit MCAClustering" + " on a sample" * (fit["rows"] < n_images)
    rest = [
        _step(what, core, fit["rows"], fit["fit_us_a_row"], core_hour),
        _step("predict", core, n_images, predict["us_a_row"], core_hour),
    ]
    rest[0]["memory GiB"] = fit["beyond_X_gib"]
    rest[1]["memory GiB"] = max(predict["beyond_X_gib"], 0.0)
    paid = [min(embeddings, key=lambda record: record["dollars"]), *rest]
    total = {"step": "all", "dollars": sum(record["dollars"] for record in paid)}
    return [*embeddings, *rest, total]


def describe(results=RESULTS, **prices):
    """Return the tables of the documentation as reStructuredText."""
    lines = []
    for n_images in IMAGES:
        if not (records := cost(n_images, results=results, **prices)):
            return "No results of ``scaling`` and ``gpu`` are there yet.\n"
        disk = n_images * WIDTH * 4 / GIB
        title = f"{n_images:,} images, {disk:,.1f} GiB of float32 embeddings on disk"
        lines.append(list_table(title, records, marked_up))
    sources = [latest("scaling", results), *_embedding_reports(results)]
    commands = dict.fromkeys(f"``{report['command']}``" for report in sources)
    core, gpu = (
        prices.get(name, default)
        for name, default in (("core_hour", CORE_HOUR), ("gpu_hour", GPU_HOUR))
    )
    lines += [
        f"Measured by {' and '.join(commands)}. Assumed prices: ${core:g} an hour of a "
        f"core, ${gpu:g} an hour of a GPU.",
        "",
    ]
    return "\n".join(lines)


def write_page(target):
    """Write the tables to a file for ``.. include::``."""
    Path(target).parent.mkdir(exist_ok=True)
    Path(target).write_text(describe(), encoding="utf-8")


def _embedding_reports(results):
    """Return the results that say how fast images are embedded: of a CPU, of a GPU."""
    reports = [latest(f"gpu{suffix}", results) for suffix in ("-quick", "")]
    found = {}
    for report in filter(None, reports):
        for title in report["tables"]:
            if "JPEGs" in title:
                found[report["command"]] = report
    return list(found.values())


def _embed(n_images, report, core_hour, gpu_hour):
    title, rows = next(item for item in report["tables"].items() if "JPEGs" in item[0])
    whole = rows[0]
    what = f"embed, {title.partition(',')[0]}"
    if title.endswith("cuda"):
        gpu = report["machine"]["gpu"]
        us_a_row = 1e6 / whole["images_a_second"]
        return _step(what, gpu, n_images, us_a_row, gpu_hour)
    core = f"a core of {report['machine']['processor']}"
    return _step(what, core, n_images, 1000 * whole["core_ms_an_image"], core_hour)


def _step(what, hardware, rows, us_a_row, dollars_an_hour):
    hours = rows * us_a_row / 1e6 / HOUR
    return {
        "step": what,
        "hardware": hardware,
        "rows": rows,
        "us per row": us_a_row,
        "hours": hours,
        "dollars": hours * dollars_an_hour,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--core-hour", type=float, default=CORE_HOUR)
    parser.add_argument("--gpu-hour", type=float, default=GPU_HOUR)
    print(describe(**vars(parser.parse_args())))
