"""Plots of the results of `make bench`, one picture per plot for light and dark pages.

They are drawn from the files of benchmarks/results when the pages are built; a plot
whose file is not there is left out.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from results_table import RESULTS, SHOWN, read

# Color of text and axes on a page of either kind.
THEMES = {"light": "#222832", "dark": "#ced6dd"}
# Okabe and Ito's colors, those that stand out on white and on black alike.
OURS = {
    "MCAClustering": "#d55e00",
    "RateReductionClustering": "#0072b2",
    "ContrastiveMaskedClustering": "#009e73",
    "GenerativeCalibrationClustering": "#cc79a7",
}
OTHERS = "#888888"
MARKERS = "osDv^<>Phd*Xp"


def latest(name, results=RESULTS):
    """Return the results of a benchmark at full size, else in short, else None."""
    for path in (results / f"{name}.json", results / f"{name}-quick.json"):
        if path.exists():
            return read(path)
    return None


def draw_accuracy(results=RESULTS):
    """Accuracy of each method on each data set: a group of bars a data set."""
    files = [read(results / f"{name}.json")["tables"] for name in SHOWN]
    titles = list(files[0])
    columns = {"k-means": [_of(files[0][title], "k-means") for title in titles]}
    for tables in files:
        columns[_name(tables[titles[0]][-1])] = [tables[t][-1] for t in titles]
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    ax = figure.subplots()
    width = 0.8 / len(columns)
    for i, (name, rows) in enumerate(columns.items()):
        ax.bar(
            [x + width * (i - (len(columns) - 1) / 2) for x in range(len(titles))],
            [row["ACC"] for row in rows],
            width,
            yerr=[row["ACC_std"] for row in rows],
            color=OURS.get(name, OTHERS),
            ecolor=mpl.rcParams["text.color"],
            label=name,
        )
    ax.set_xticks(range(len(titles)), [title.partition(":")[0] for title in titles])
    ax.set_ylabel("ACC in %")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def draw_peers(results=RESULTS):
    """Accuracy against seconds of a fit: a panel a data set, a point a method."""
    report = latest("peers", results)
    if report is None:
        return None
    tables = report["tables"]
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False)[0]
    for ax, (title, rows) in zip(panels, tables.items()):
        for i, row in enumerate(rows):
            name = _name(row)
            ax.errorbar(
                row["seconds"],
                row["ACC"],
                yerr=row["ACC_std"],
                marker=MARKERS[i % len(MARKERS)],
                markersize=9 if name in OURS else 6,
                markerfacecolor="none" if "words" in row["what"] else None,
                linestyle="none",
                color=OURS.get(name, OTHERS),
                label=row["what"],
            )
        ax.set_xscale("log")
        ax.set_title(title.partition(":")[0])
        ax.set_xlabel("seconds of a fit")
    panels[0].set_ylabel("ACC in %")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(
        *handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small"
    )
    return figure


def draw_scaling(results=RESULTS):
    """Microseconds per row against the number of rows, of fit and of each predict."""
    report = latest("scaling", results)
    if report is None:
        return None
    fits, predicts, *_ = report["tables"].values()
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for column, style, name in (
        ("fit_us_a_row", "-", "default fit"),
        ("epoch_us_a_row", "--", "an epoch"),
    ):
        _draw_line(left, fits, column, OURS["MCAClustering"], style, name)
    for name in dict.fromkeys(row["what"] for row in predicts):
        rows = [row for row in predicts if row["what"] == name]
        _draw_line(right, rows, "us_a_row", OURS.get(name, OTHERS), "-", name)
    left.set_title("MCAClustering.fit")
    right.set_title("predict")
    left.set_ylabel("microseconds of a core a row")
    left.set(xscale="log", yscale="log", xlabel="rows")
    right.set(xscale="log", xlabel="rows", ylim=(0, None))
    for ax in (left, right):
        ax.xaxis.set_minor_formatter("")
        ax.legend(
            frameon=False,
            fontsize="small",
            loc="upper center",
            bbox_to_anchor=(0.5, -0.2),
        )
    return figure


# Name of the file -> what draws it, and what the picture says to who cannot see it.
PLOTS = {
    "accuracy": (
        draw_accuracy,
        "Bars of the accuracy of k-means and of each clusterer on four data sets",
    ),
    "peers": (
        draw_peers,
        "Accuracy against seconds of a fit, of the library's clusterers and of others",
    ),
    "scaling": (
        draw_scaling,
        "Time a row against the number of rows, of a fit and of each predict",
    ),
}


def write_plots(folder, target, results=RESULTS):
    """Draw what there are results of; write a file for ``.. include::`` of them all.

    Parameters
    ----------
    folder : path
        Where pictures go.
    target : path
        The file; pictures are named relative to the folder above it, where the page
        that includes it lies.
    results : path
        Folder of the results.
    """
    folder, target = Path(folder), Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, (draw, alternative) in PLOTS.items():
        for theme, color in THEMES.items():
            path = folder / f"{name}-{theme}.svg"
            with mpl.rc_context(_style(color)):
                figure = draw(results)
                if figure is None:
                    break
                figure.savefig(path, metadata={"Date": None})
            page = path.relative_to(target.parents[1])
            lines += [
                f".. image:: {page.as_posix()}",
                f"   :alt: {alternative}",
                f"   :class: only-{theme}",
                "",
            ]
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines), encoding="utf-8")


def _draw_line(ax, rows, column, color, style, name):
    x, y = [row["rows"] for row in rows], [row[column] for row in rows]
    ax.plot(x, y, style, marker="o", color=color, label=name)


def _name(row):
    """Name of the class in "MCAClustering()" and in "MCAClustering, no words"."""
    name = row["what"].partition(",")[0].partition("(")[0]
    return name if name in OURS else row["what"]


def _of(rows, what):
    return next(row for row in rows if row["what"] == what)


def _style(color):
    names = ["text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor"]
    names += ["xtick.color", "ytick.color"]
    return {
        **dict.fromkeys(names, color),
        "savefig.transparent": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "svg.hashsalt": "sklearn_vlclust",  # the same file from the same results
    }
