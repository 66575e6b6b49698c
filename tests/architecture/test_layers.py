"""The rules of the house that a linter does not know."""

import ast
import importlib.metadata
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("shardmap", "router", "server")
TOP = "bench"
"""Above them all; it may also enter the rooms of the server, by the front door of each."""
MODULES = sorted(path for layer in (*LAYERS, TOP) for path in (ROOT / layer).rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "core", "misc", "manager"}
PURE_ROUTER = {
    "analysis",
    "catalogue/documented",
    "catalogue/introspection",
    "commit/copies",
    "commit/prepared",
    "commit/uniques",
    "consistency",
    "description",
    "errors",
    "fair_queue",
    "live/breaker",
    "live/cap",
    "live/choice",
    "live/discovered",
    "live/ejection",
    "live/freshness",
    "live/hedge",
    "live/history",
    "live/lag",
    "live/messages",
    "live/pool_standing",
    "live/preamble",
    "live/quorum",
    "live/replicas",
    "observe",
    "plans",
    "pooling_errors",
    "rewrite",
    "schema",
    "setup_errors",
    "statement",
    "transaction_options",
}
"""Rooms and modules of the router that decide and never wait."""
PURE_MIGRATE = {
    "alterations",
    "cursor",
    "deeds",
    "definitions",
    "drift",
    "errors",
    "files",
    "findings",
    "lint",
    "mentions",
    "places",
    "plan",
    "routing",
    "scan",
    "tenancy",
}
"""The same in server/migrate."""
PURE_MOVES = {"comparing", "errors", "examining", "group", "names", "refusals", "request"}
"""The same in server/moves."""
PURE_OPERATORS = {
    "mapchange/balancing",
    "mapchange/estimate",
    "mapchange/proposal",
    "tenants/manifest",
    "tenants/placing",
    "tenants/sizes",
}
"""The same in the rooms of operators."""
PURE_BENCH = {
    "limits",
    "messages",
    "outcome",
    "record",
    "result",
    "summary",
    "workloads/chances",
    "workloads/points",
}
"""The same in bench."""
MAX_LINES = 400


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_a_module_is_one_idea_of_bounded_size(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert path.stem not in FORBIDDEN_NAMES


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_another_layer_is_entered_by_its_front_door(path):
    own = path.relative_to(ROOT).parts[0]

    deep = [
        name
        for name in imports(path)
        if name.split(".")[0] in LAYERS
        and name.split(".")[0] != own
        and name.count(".") > (own == TOP and name.startswith("server."))
    ]

    assert deep == []


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_a_module_says_in_its_first_line_what_it_is(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))

    assert docstring
    assert docstring.splitlines()[0].strip()


PURE = [
    path
    for path in sorted((ROOT / "router").rglob("*.py"))
    if any(
        path.relative_to(ROOT / "router").with_suffix("").is_relative_to(pure)
        for pure in PURE_ROUTER
    )
]
PURE += [path for path in MODULES if path.parent.name == "migrate" and path.stem in PURE_MIGRATE]
PURE += [path for path in MODULES if path.parent.name == "moves" and path.stem in PURE_MOVES]
PURE += [ROOT / "server" / f"{name}.py" for name in sorted(PURE_OPERATORS)]
PURE += [ROOT / "bench" / f"{name}.py" for name in sorted(PURE_BENCH)]


@pytest.mark.parametrize("path", PURE, ids=names(PURE))
def test_a_module_that_decides_does_not_wait(path):
    tree = ast.parse(path.read_text())
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]

    assert waits == []
    assert not {name.split(".")[0] for name in imports(path)} & {"asyncio", "asyncpg", "aiohttp"}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_front_door_lists_exactly_what_it_imports(layer):
    tree = ast.parse((ROOT / layer / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
    ]

    assert imported == set(*listed)


def test_no_dependency_ships_a_package_of_our_names():
    owners = importlib.metadata.packages_distributions()

    assert {layer: set(owners.get(layer, ())) - {"fluxshard"} for layer in LAYERS} == {
        layer: set() for layer in LAYERS
    }


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    # the words are put together here, so that this file does not hold them
    words = ["py" + "pi.org", "python" + "hosted", "npm" + "js.", "/work" + "/main"]
    listed = (ROOT / ".gitignore").read_text().split()
    skipped = {".git", *(entry.strip("/") for entry in listed)}
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in ROOT.rglob("*")
        if path.is_file()
        and not skipped & set(path.relative_to(ROOT).parts)
        and path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".sql", ".json", ".js", ""}
        for word in words
        if word in path.read_text(errors="ignore")
    ]

    assert found == []


def _pins(path):
    lines = (ROOT / path).read_text().splitlines()
    return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith(" ")}


def test_the_image_holds_a_part_of_what_is_tested_in_the_same_versions():
    assert _pins("docker/requirements.txt") < _pins("requirements.txt")


def test_the_pinned_packages_are_those_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(project["dependencies"]) <= _pins("docker/requirements.txt")
    for extra in ("dev", "bench"):
        assert set(project["optional-dependencies"][extra]) <= _pins("requirements.txt")
