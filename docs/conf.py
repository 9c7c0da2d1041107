"""Settings of Sphinx. Nothing is fetched: the build needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import results_table

import sklearn_vlclust

project = "sklearn_vlclust"
author = "the sklearn_vlclust developers"
copyright = author  # the name that Sphinx wants
version = release = sklearn_vlclust.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_static/README.md"]
# As in scikit-learn: `name` is a name in the code.
default_role = "literal"
numpydoc_show_class_members = False
autodoc_member_order = "bysource"
autosummary_generate = True
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_title = f"sklearn_vlclust {release}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "secondary_sidebar_items": []}


def skip_inherited(app, what, name, member, skip, options):
    """Leave out what scikit-learn documents: its pages have references of their own."""
    function = getattr(member, "fget", member)
    module = getattr(function, "__module__", None) or ""
    return True if module.partition(".")[0] == "sklearn" else skip


def setup(app):
    app.connect("autodoc-skip-member", skip_inherited)
    results_table.write_page(Path(__file__).parent / "_build" / "results.inc")
