"""Settings of the documentation site: ``make docs`` builds it, with warnings as errors and without a network."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "czbenchmarks"
author = "the czbenchmarks developers"
project_copyright = author
release = importlib.metadata.version("cz-benchmarks")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings", "generated"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "_ext"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

default_role = "literal"  # single backticks in docstrings name arguments and columns

html_theme = "furo"
html_title = f"czbenchmarks {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures would be longer than the text; the parameters say what may be given
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False

# A name in a docstring that leads nowhere is an error. Other libraries' names lead nowhere on purpose: looking them up
# needs a network.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|pandas|pd|anndata|scipy|sklearn|pydantic|pathlib|enum|collections|typing|click|abc)\..*"),
    ("py:class", r"(czbenchmarks\.)?([\w.]+\.)?_\w+"),  # a private base says nothing to a reader
    ("py:class", r"Number|([\w.]+\.)?\w+Like"),  # names of unions
    ("py:(exc|class|obj)", r"[A-Z]\w*(Error|Warning)|(str|int|float|bool|dict|list|tuple|set|object|Path|Any|Enum)"),
]
