"""What stands twice in the repository says the same both times, and what the README promises exists."""

import ast
import configparser
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"meanfield": ROOT / "meanfield", "meanfield.validation": ROOT / "validation"}
BUILT = ("gallery/", "generated/")  # pages that the documentation's build writes


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(text("pyproject.toml"))["project"]


def entries(value):
    return [line.strip() for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]


def distribution(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0]


def version():
    for node in ast.parse(text("meanfield/__init__.py")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__version__":
            return ast.literal_eval(node.value)
    raise AssertionError("meanfield/__init__.py has no literal __version__")


def test_one_version_everywhere():
    import meanfield

    assert meanfield.__version__ == version()
    assert re.search(r"^version: (\S+)$", text("CITATION.cff"), re.M)[1] == version()
    newest, date = re.search(r"^## (\S+) \((\S+)\)$", text("CHANGELOG.md"), re.M).groups()
    assert newest == version()
    assert re.search(r"^date-released: (\S+)$", text("CITATION.cff"), re.M)[1] == date


def test_pyproject_agrees_with_setup_cfg(setup, project):
    assert project["name"] == setup["metadata"]["name"]
    assert project["requires-python"] == setup["options"]["python_requires"]
    assert set(project) == {"name", "requires-python", "dynamic"}


def test_the_license_is_the_one_that_is_named(setup):
    assert text("LICENSE").startswith("BSD 3-Clause License")
    assert setup["metadata"]["license_expression"] == "BSD-3-Clause"
    assert "license: BSD-3-Clause" in text("CITATION.cff")


def test_every_package_and_data_file_is_installed(setup):
    assert set(entries(setup["options"]["packages"])) == {
        ".".join([name, *init.parent.relative_to(folder).parts])
        for name, folder in PACKAGES.items()
        for init in folder.rglob("__init__.py")
    }
    for name, folder in PACKAGES.items():
        patterns = [
            pattern.strip() for pattern in setup["options.package_data"].get(name, "").split(",") if pattern.strip()
        ]
        covered = {path for pattern in patterns for path in folder.glob(pattern)}
        data = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
        assert data <= covered, f"{sorted(data - covered)} would be missing from a wheel"


def third_party(files):
    names = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"meanfield"}


def test_what_the_packages_import_is_required_and_the_reverse(setup):
    required = {distribution(line) for line in entries(setup["options"]["install_requires"])}
    extras = setup["options.extras_require"]
    optional = {distribution(line) for extra in ("fit", "nwb") for line in entries(extras[extra])}
    used = third_party(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
    assert used == required | optional and not required & optional


def test_what_the_tests_import_is_in_the_test_extra(setup):
    extras = setup["options.extras_require"]
    assert "lowrank-meanfield[fit]" in entries(extras["test"])
    extra = {distribution(line) for name in ("test", "fit") for line in entries(extras[name])}
    required = {distribution(line) for line in entries(setup["options"]["install_requires"])}
    beside = {path.stem for path in (ROOT / "tests").glob("*.py")}
    assert third_party((ROOT / "tests").glob("*.py")) - beside <= extra | required


def test_dev_is_all_the_extras(setup):
    extras = setup["options.extras_require"]
    (everything,) = entries(extras["dev"])
    assert set(re.search(r"\[(.*)\]", everything)[1].split(",")) == set(extras) - {"dev"}


def make_targets():
    return set(re.findall(r"^([a-z]+):", text("Makefile"), re.M))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/start.md", "docs/add.md"])
def test_the_make_commands_of_the_pages_exist(page):
    used = set(re.findall(r"^\s*make ([a-z]+)", text(page), re.M)) | set(re.findall(r"`make ([a-z]+)`", text(page)))
    assert used <= make_targets()
    if page == "README.md":
        assert {"report", "test"} <= used


def test_make_help_names_every_target():
    described = set(re.findall(r"@echo 'make ([a-z]+) ", text("Makefile")))
    assert described == make_targets() - {"help"}


def test_the_extras_that_the_pages_name_exist(setup):
    for page in ("README.md", "CONTRIBUTING.md", "docs/start.md"):
        for names in re.findall(r"-e \"?\.\[([a-z,]+)\]", text(page)):
            assert set(names.split(",")) <= set(setup["options.extras_require"])


def pages():
    documentation = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    return ["README.md", "CONTRIBUTING.md", *documentation]


@pytest.mark.parametrize("page", [page for page in pages() if not page.removeprefix("docs/").startswith(BUILT)])
def test_relative_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    prose = re.sub(r"```.*?```", "", text(page), flags=re.S)
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose)
    local = [link for link in links if "://" not in link and not link.startswith(BUILT)]
    assert not [link for link in local if not (folder / link).exists()]


def test_continuous_integration_runs_the_readme_command():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    script = text(".ci/run")
    assert re.search(r"^make test$", script, re.M)
    assert "make lint" in script and "make docs" in script
