import ast
import importlib.metadata
import os
import re
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
HERE = Path(__file__).parent

project = "meanfield"
author = "meanfield developers"
copyright = "2026, meanfield developers"
version = release = importlib.metadata.version("lowrank-meanfield")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # pages show their equations without a network
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["amsmath", "dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
numfig = True
math_numfig = True
math_eqref_format = "({number})"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "meanfield"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": [], "start": []}

PAGES = {"meanfield": HERE.parent / "meanfield", "meanfield.validation": HERE.parent / "validation"}
INDEX = """# API

The names in `meanfield` itself, and in `meanfield.dmft`, are these, imported when they are first used; each links
to its module.

{names}

## Modules

{modules}

```{{toctree}}
:hidden:
:glob:

meanfield*
```
"""


def write_api_pages():
    """One page per module and an index of them (autosummary takes a module for the function that bears its name)."""
    import meanfield

    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    lines = []
    for package, path in PAGES.items():
        for file in sorted(path.rglob("*.py")):
            name = ".".join([package, *file.relative_to(path).with_suffix("").parts]).removesuffix(".__init__")
            if name in PAGES or file.stem.startswith("_") and file.name != "__init__.py":
                continue
            summary = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).splitlines()[0]
            lines.append(f"- [`{name}`]({name}.rst): {summary}")
            members = "" if file.name == "__init__.py" else "   :members:\n"  # each is shown where it is defined
            page = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n{members}"
            (folder / f"{name}.rst").write_text(page, encoding="utf-8")
    names = [f"- [`{name}`](meanfield.{home}.rst)" for name, home in sorted(meanfield._exports.items()) if home]
    random = sorted(meanfield.dmft._exports.items())
    names += [f"- [`dmft.{name}`](meanfield.dmft.{home}.rst)" for name, home in random]
    index = INDEX.format(names="\n".join(names), modules="\n".join(lines))
    (folder / "index.md").write_text(index, encoding="utf-8")


def escape_plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: |x|, x*y and trailing_ mean themselves, except in `literals` and indented blocks."""
    block = None  # indentation of the line that opened a literal block or a directive
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and block is not None and indent <= block:
            block = None
        if block is None and not line.lstrip().startswith(">>>"):
            pieces = re.split(r"(``[^\s`](?:.*?\S)?``|:\w+:`.+?`|`[^\s`][^`]*`)", line)
            pieces[::2] = [re.sub(r"([|*`]|(?<=\w)_(?!\w))", r"\\\1", piece) for piece in pieces[::2]]
            lines[number] = "".join(pieces)
            if line.rstrip().endswith("::") or re.match(r"\s*\.\. \w+::", line):
                block = indent


def typeset(result):
    """What a gallery script leaves on its last line, as an equation (the gallery asks for HTML, not for LaTeX)."""
    return rf'<div class="math notranslate nohighlight">\[{result._repr_latex_().strip("$")}\]</div>'


def setup(app):
    from sympy.printing.defaults import Printable

    from meanfield.formulas.analytic import AnalyticFixedPoint
    from meanfield.formulas.normal_forms import NormalForm
    from meanfield.formulas.reduced import ReducedEquations

    for formula in (Printable, AnalyticFixedPoint, NormalForm, ReducedEquations):
        formula._repr_html_ = typeset
    app.set_html_assets_policy("always")  # the equations in the gallery's results need the script that sets them
    app.connect("autodoc-process-docstring", escape_plain_text, priority=100)  # before numpydoc


write_api_pages()
