"""The house rules of docs/architecture.md, held against the code."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"meanfield": ROOT / "meanfield", "meanfield.validation": ROOT / "validation"}
LINES = 400
HEAVY = {"sympy", "mpmath", "matplotlib", "scipy.integrate", "scipy.stats"}


def source_files():
    """{dotted module name: path} of both packages."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


FILES = source_files()


def is_entry(module):
    """Packages that import nothing: those whose names are imported when asked for, and rooms with a docstring only."""
    return (
        module in FOLDERS or FILES[module].name == "__init__.py" and len(ast.parse(FILES[module].read_text()).body) == 1
    )


ENTRY = set(filter(is_entry, FILES))


@functools.cache
def tree(module):
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def imported(module, node):
    """The dotted names that one import statement of `module` asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    base = ".".join(filter(None, [package if node.level else "", node.module]))
    return [f"{base}.{alias.name}" for alias in node.names]


def internal_imports(module):
    """The modules of ours that `module` imports anywhere, inside functions too."""
    targets = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported(module, node):
                known = name if name in FILES else name.rpartition(".")[0]
                if known in FILES:
                    targets.add(known)
                else:
                    assert name.split(".")[0] != "meanfield", f"{module} imports {name}, which does not exist"
    return targets


def documented_layers():
    """{module: number} from the tables of docs/architecture.md, whose rows start with `| number | module, module |`."""
    layers = {}
    for line in (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines():
        row = re.match(r"\| *(\d+) *\| *([^|]+?) *\|", line)
        if row:
            for module in re.findall(r"`([\w.]+)`", row[2]):
                assert module not in layers, f"{module} stands twice in docs/architecture.md"
                layers[module] = int(row[1])
    return layers


def test_every_file_has_its_place_in_the_architecture_page():
    assert set(documented_layers()) == set(FILES) - ENTRY


@pytest.mark.parametrize("module", sorted(set(FILES) - ENTRY))
def test_imports_go_down(module):
    layers = documented_layers()
    assert module in layers, f"{module} needs a row in docs/architecture.md"
    upward = [other for other in internal_imports(module) - ENTRY if layers.get(other, 0) >= layers[module]]
    assert not upward, f"{module} (layer {layers[module]}) imports {[(other, layers[other]) for other in upward]}"


def test_no_import_cycle():
    graph = {module: internal_imports(module) - ENTRY for module in FILES}
    while graph:
        leaves = [module for module, targets in graph.items() if not targets & set(graph)]
        assert leaves, f"import cycle among {sorted(graph)}"
        for module in leaves:
            del graph[module]


@pytest.mark.parametrize("module", sorted(FILES))
def test_only_the_command_line_knows_both_storeys(module):
    if not module.startswith("meanfield.validation") and not module.startswith(("meanfield.cli", "meanfield.commands")):
        assert not {m for m in internal_imports(module) if m.startswith("meanfield.validation")}


@pytest.mark.parametrize("module", sorted(FILES))
def test_no_file_grows_past_the_limit(module):
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= LINES


def public_definitions(node, prefix=""):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child, prefix + child.name + ".")


@pytest.mark.parametrize("module", sorted(FILES))
def test_everything_public_has_a_docstring(module):
    bare = [name for name, node in public_definitions(tree(module)) if not ast.get_docstring(node)]
    assert ast.get_docstring(tree(module)), f"{module} has no docstring"
    assert not bare


def loaded_by(statement):
    """Which of the HEAVY modules a fresh interpreter has loaded after `statement`."""
    code = f"import sys\n{statement}\nprint(*({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_probe_of_loaded_modules_sees_them():
    assert {"sympy", "mpmath"} <= loaded_by("import sympy")


def test_importing_the_package_and_its_numeric_names_stays_light():
    import meanfield

    assert loaded_by("import meanfield") == set()
    names = sorted(set(meanfield.__all__) - {"derive", "validation"})  # derive is sympy; finite networks may read files
    assert loaded_by(f"from meanfield import {', '.join(names)}") == set()


def test_every_public_name_arrives():
    import meanfield
    from meanfield import validation

    for package in (meanfield, validation):
        for name in package.__all__:
            assert getattr(package, name) is not None
    assert {"Connectivity", "reduce", "derive", "fixed_points", "validation"} <= set(dir(meanfield))
    with pytest.raises(AttributeError, match="known names are"):
        meanfield.fixedpoints  # noqa: B018


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    code = "import meanfield.fixed_points, meanfield.cycles, meanfield as mf; assert callable(mf.fixed_points)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
