"""What the README shows is what its code prints."""

import contextlib
import io
import pathlib
import re

README = pathlib.Path(__file__).parent.parent / "README.md"


def without_tiny_numbers(text):
    """Error bounds and residuals differ in their last digits between machines; only their place is compared."""
    return re.sub(r"\d\.?\d*e-\d+", "tiny", text).split()


def test_the_example_prints_what_the_readme_says():
    text = README.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    printed = re.search(r"prints\n\n```text\n(.*?)```", text, re.S).group(1)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert without_tiny_numbers(out.getvalue()) == without_tiny_numbers(printed)
    assert len([line for line in code.splitlines() if line.strip()]) <= 22


def test_the_example_is_short_enough_to_read():
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S).group(1)
    assert max(len(line) for line in code.splitlines()) <= 100
