"""The gallery of examples: what sphinx-gallery is told, and what cannot be run here."""

import os
import re
from importlib.util import find_spec
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples" / "gallery"
# What an example uses, the extra that brings it, and a package of that extra.
EXTRAS = {
    "GenerativeCalibrationClustering": ("generative", "diffusers"),
}
# In the order in which they are shown.
ORDER = (
    "vl",
    "own_folder",
    "choose_k",
    "name_clusters",
    "text_search",
    "grid_search",
    "unbalanced",
    "large_data",
    "mca",
    "rate_reduction",
    "contrastive_masked",
    "generative",
)


def missing_extras(path):
    """Return the extras that an example needs and that are not installed."""
    text = Path(path).read_text(encoding="utf-8")
    return [
        extra
        for name, (extra, package) in EXTRAS.items()
        if name in text and find_spec(package) is None
    ]


def place(name):
    """Return where an example is shown."""
    return ORDER.index(Path(name).stem.removeprefix("plot_"))


def settings():
    """Return the settings of sphinx-gallery."""
    run = [path for path in EXAMPLES.glob("plot_*.py") if not missing_extras(path)]
    names = "|".join(re.escape(path.name) for path in sorted(run))
    return {
        "examples_dirs": os.path.relpath(EXAMPLES, Path(__file__).parent),
        "gallery_dirs": "auto_examples",
        "filename_pattern": rf"[/\\](?:{names})$",
        "within_subsection_order": "gallery.place",
        # Links go to pages of this documentation alone: the build needs no network.
        "doc_module": ("sklearn_vlclust",),
        "reference_url": {"sklearn_vlclust": None},
        "backreferences_dir": "_build/backreferences",
        "log_level": {"backreference_missing": "debug"},
        "abort_on_example_error": False,
        "capture_repr": ("_repr_html_",),
        "download_all_examples": False,
        "min_reported_time": 20,  # seconds: none should take longer
        "remove_config_comments": True,
        "show_signature": False,
        "thumbnail_size": (400, 280),
        "write_computation_times": False,  # its page loads scripts from elsewhere
    }


def say_what_is_missing(app, docname, source):
    """Put a note on the page of an example that was not run."""
    folder, _, name = docname.rpartition("/")
    path = EXAMPLES / f"{name}.py"
    if folder == "auto_examples" and path.exists() and (extras := missing_extras(path)):
        extra = ",".join(extras)
        source[0] = (
            ".. note::\n\n   This example was not run when these pages were built: it "
            f'needs ``pip install ".[{extra}]"`` in the clone.\n\n{source[0]}'
        )
