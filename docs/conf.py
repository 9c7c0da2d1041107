"""Settings of Sphinx. Nothing is fetched: the build needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cost_table
import decision_table
import gallery
import results_plot
import results_table
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import sklearn_vlclust

project = "sklearn_vlclust"
author = "the sklearn_vlclust developers"
copyright = author  # the name that Sphinx wants
version = release = sklearn_vlclust.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
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
html_math_renderer = "mathml"
sphinx_gallery_conf = gallery.settings()
html_sidebars = {
    page: [] for page in ("install", "quickstart", "choosing_a_method", "benchmarks")
}
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
}


def skip_inherited(app, what, name, member, skip, options):
    """Leave out what scikit-learn documents: its pages have references of their own."""
    function = getattr(member, "fget", member)
    module = getattr(function, "__module__", None) or ""
    return True if module.partition(".")[0] == "sklearn" else skip


def write_math(translator, node):
    """Write LaTeX as MathML: MathJax would be fetched whenever a page is read."""
    block = isinstance(node, nodes.math_block)
    mathml = tex2mathml(node.astext(), as_block=block)
    translator.body.append(f"<p>{mathml}</p>" if block else mathml)
    raise nodes.SkipNode


def setup(app):
    renderers = (write_math, None)
    app.add_html_math_renderer("mathml", renderers, renderers)
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("source-read", gallery.say_what_is_missing)
    build = Path(__file__).parent / "_build"
    results_table.write_page(build / "results.inc")
    decision_table.write_pages(build)
    results_plot.write_plots(build / "plots", build / "plots.inc")
    cost_table.write_page(build / "cost.inc")
