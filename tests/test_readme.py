"""What the README and the ten-minute start show is what their code prints."""

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
GUIDES = (
    "start",
    "finite-networks",
    "random-networks",
    "learned-structure",
    "tasks",
    "mechanism",
    "lint",
    "populations",
    "training",
)
PAGES = ("README.md", *(f"docs/{name}.md" for name in GUIDES))
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.S | re.M)


def without_tiny_numbers(text):
    """Error bounds and residuals differ in their last digits between machines; only their place is compared."""
    return re.sub(r"\d\.?\d*e-\d+", "tiny", text).split()


@pytest.mark.parametrize("page", PAGES)
def test_the_code_prints_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    printed, names, compared = "", {}, 0
    for kind, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if kind == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, page, "exec"), names)
            printed = out.getvalue()
        else:
            assert without_tiny_numbers(text) == without_tiny_numbers(printed)
            compared += 1
    assert compared >= 1


def test_the_readme_example_is_short_enough_to_read():
    code = next(
        text for kind, text in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")) if kind == "python"
    )
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 22 and max(map(len, lines)) <= 100
