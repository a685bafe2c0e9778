"""The rooms of the house: who imports whom is what the table of ddpzero/README.md says, no more and no less."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.places import REPO

PACKAGE = REPO / "ddpzero"
# Libraries that the table names.
LIBRARIES = {
    *("hydra", "numba", "numpy", "omegaconf", "rich", "torch"),
    # Of extras.
    *(
        "fastapi",
        "httpx2",
        "jinja2",
        "limits",
        "onnx",
        "onnxruntime",
        "sqlalchemy",
        "starlette",
        "tenacity",
        "uvicorn",
    ),
}


class Row(NamedTuple):
    """rooms, libraries: what the room imports, of ddpzero and from elsewhere."""

    room: str
    rooms: set[str]
    libraries: set[str]


def table_rows() -> Iterator[Row]:
    _, _, table = (PACKAGE / "README.md").read_text().partition("## Who imports whom")
    for line in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)[1:]:
        room, rooms, libraries = (cell.strip() for cell in line.split("|"))
        yield Row(room, set(rooms.split(", ")) - {""}, set(libraries.split(", ")) - {""})


def imported_modules(file: Path) -> Iterator[str]:
    """Yield what a file imports, also inside functions and for the type checker alone."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                yield module if is_module(module) else node.module


def is_module(name: str) -> bool:
    path = REPO.joinpath(*name.split("."))
    return name.startswith("ddpzero.") and (path.is_dir() or path.with_suffix(".py").is_file())


def room_of(module: str) -> str:
    """Return the room of a module of ddpzero: a folder, or a file directly in ddpzero/; "" for the package itself."""
    name = module.split(".")[1] if "." in module else ""
    return name if not name or (PACKAGE / name).is_dir() else f"{name}.py"


def imports_of(room: str) -> tuple[set[str], set[str]]:
    used, libraries = set(), set()
    path = PACKAGE / room
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        for module in imported_modules(file):
            package = module.split(".")[0]
            if package == "ddpzero":
                used.add(room_of(module))
            elif package in LIBRARIES:
                libraries.add(package)
    return used - {room, ""}, libraries


ROWS = list(table_rows())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.room)
def test_a_room_imports_what_the_table_says(row):
    assert imports_of(row.room) == (row.rooms, row.libraries)


def test_every_folder_and_file_of_the_package_is_in_the_table():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    files = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert sorted(row.room for row in ROWS) == sorted(rooms | files)


def test_nothing_imports_upwards():
    below: set[str] = set()
    for row in ROWS:
        assert row.rooms <= below, f"{row.room} imports a room that stands below it in the table"
        below.add(row.room)


def test_no_files_import_each_other_in_a_circle():
    graph = {}
    for file in PACKAGE.rglob("*.py"):
        module = ".".join(file.relative_to(REPO).with_suffix("").parts)
        graph[module.removesuffix(".__init__")] = {
            name for name in imported_modules(file) if name.startswith("ddpzero.")
        }
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"these files import each other: {' -> '.join(error.args[1])}")
    assert graph.keys() <= set(order)


def test_hydra_appears_at_the_door_alone():
    files = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if {"hydra", "omegaconf"} & {module.split(".")[0] for module in imported_modules(file)}
    }
    of_config = {"config/hydra.py", "config/overrides.py", "config/explanations.py"}
    assert files == {*of_config, "main.py", "sweep.py"}
