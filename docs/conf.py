"""Sphinx builds these pages: `sphinx-build -W --keep-going -n docs docs/_build`. A warning is an error."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

import rnnlab

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generator import write_reference  # noqa: E402

project = "rnnlab"
author = "The rnnlab authors"
copyright = author
version = release = rnnlab.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"rnnlab {version}"
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"

myst_heading_anchors = 4  # a link to a heading is checked: [text](page.md#heading)
myst_enable_extensions = ["deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"exclude-members": "model_config"}
autodoc_typehints_description_target = "documented"
autodoc_mock_imports = ["keras"]  # the signatures of the layers are read without it
default_role = "literal"  # the docstrings are Markdown in this
napoleon_use_ivar = True
# A type in a signature is a link where its class is on a page. Those of other projects would
# have to be downloaded, and the lower layers are on no page.
_LOWER = "core|backends|storage|runs|tasks|optim|config|comparison|sweeps"
nitpick_ignore_regex = [("py:.*", rf"(?!rnnlab\.).*|rnnlab\.({_LOWER})\..*")]


def name_files(_: Sphinx, __: str, source: list[str]) -> None:
    """Show the file name that a fenced block has in its first line: ```` ```yaml my_sweep.yaml ````."""
    source[0] = re.sub(
        r"^```(\w+) ([\w./-]+\.\w+)$", r"```{code-block} \1\n:caption: \2", source[0], flags=re.MULTILINE
    )


def setup(app: Sphinx) -> None:
    """Write the reference pages, before Sphinx looks for pages."""
    write_reference(HERE / "reference")
    app.connect("source-read", name_files)
