"""Configuration of the site that `make docs` builds."""

from __future__ import annotations

import sys
import tomllib
import zlib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

_PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]

project = _PROJECT["name"]
release = version = _PROJECT["version"]
author = "the processpool developers"
copyright = author  # noqa: A001 - Sphinx wants this name
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "root_pages",
    "docstrings",
    "settings_reference",
    "command_reference",
    "presets_reference",
    "for_machines",
]
exclude_patterns = ["_ext", "_inventories", "inventories"]
suppress_warnings = ["myst.xref_ambiguous"]

# The docstrings are written for `help()`: a word in single backticks is code.
default_role = "code"
highlight_language = "text"
smartquotes = False  # it takes the dashes of options for those of sentences

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 80
nitpicky = True

root_pages_url = _PROJECT["urls"]["Repository"] + "/blob/main/"


def _inventory(name: str) -> str:
    """Compress an inventory that is kept as text, and return the path of the result.

    Sphinx would load it from the other project's site, so a build without a network would fail, and
    one with a network would depend on the day. These hold the few names that are referred to here.
    """
    text = (HERE / "inventories" / f"{name}.txt").read_text()
    head = f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    path = HERE / "_inventories" / f"{name}.inv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(head.encode() + zlib.compress(text.encode()))
    return str(path)


intersphinx_mapping = {
    "python": ("https://docs.python.org/3", _inventory("python")),
    "numpy": ("https://numpy.org/doc/stable", _inventory("numpy")),
}

html_theme = "furo"
html_title = "processpool"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = True
html_show_sphinx = False
html_theme_options = {"source_edit_link": "", "top_of_page_buttons": []}
