"""The documentation as a site: `make site` writes it to build/site."""

from pathlib import Path

import ablate

GALLERY = Path(__file__).parents[1] / "build" / "gallery"  # reports, made by `make site`

project = "ablate"
author = "The ablate developers"
copyright = author
version = release = ablate.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = f"ablate {version}"
html_extra_path = [str(GALLERY)] if GALLERY.is_dir() else []
html_show_sourcelink = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]

autodoc_typehints_format = "short"
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "exclude-members": "model_config, model_post_init, model_copy",
}
napoleon_google_docstring = True
copybutton_prompt_text = "$ "


def setup(app):
    """Let links to the top of the repository find the pages that include those files."""
    app.connect("source-read", _linked)


def _linked(app, name, source):
    source[0] = source[0].replace("](../CONTRIBUTING.md", "](contributing.md")
