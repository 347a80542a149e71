# SPDX-License-Identifier: ISC
"""Sphinx configuration of the book. Warnings are errors: see make book."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "_ext"))

project = "vmm"
author = "the vmm authors"
copyright = "2026, the vmm authors"  # noqa: A001  (Sphinx's name for it)
extensions = ["myst_parser", "vmmbook", "vmmtwins", "vmmstates", "vmmtrace",
              "vmmrules"]
exclude_patterns = ["_ext"]
html_theme = "furo"
html_title = "vmm, the book"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "text"
nitpicky = True
