"""The rooms of the house: who imports whom is what README's table says, no more and no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
PACKAGE = REPO / "ddpzero"
# Libraries that the table speaks of.
LIBRARIES = {"hydra", "numba", "numpy", "omegaconf", "rich", "torch"}
BESIDE = "files beside"


def table_rows() -> Iterator[tuple[list[str], set[str], set[str]]]:
    """Of each row: who, the places in ddpzero that it imports, the libraries that it imports."""
    _, _, table = (REPO / "README.md").read_text().partition("Who imports whom")
    for line in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)[1:]:
        who, places, libraries = (cell.strip() for cell in line.split("|"))
        yield (
            who.split(", "),
            set(re.split(r", (?:and )?", places)) - {""},
            set(libraries.split(", ")) - {""},
        )


def imported_modules(file: Path) -> Iterator[str]:
    """Wherever they stand: inside functions and for the type checker, too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative import"
            if node.module == "ddpzero":
                yield from (f"ddpzero.{alias.name}" for alias in node.names)
            else:
                yield node.module


def imports_of(places: list[str]) -> tuple[set[str], set[str]]:
    """Places in ddpzero, other than these, and libraries."""
    used, libraries = set(), set()
    for place in places:
        path = PACKAGE / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for module in imported_modules(file):
                package, _, rest = module.partition(".")
                if package == "ddpzero":
                    name = rest.split(".")[0]
                    used.add(name if (PACKAGE / name).is_dir() else f"{name}.py")
                elif package in LIBRARIES:
                    libraries.add(package)
    return used - set(places), libraries


ROWS = list(table_rows())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: ",".join(row[0]))
def test_a_room_imports_what_the_table_says(row):
    who, places, libraries = row
    used, used_libraries = imports_of(who)
    if any(place.startswith(BESIDE) for place in places):
        places = {place for place in places if not place.startswith(BESIDE)}
        used = {place for place in used if not place.endswith(".py")}
    assert used == places
    assert used_libraries == libraries


def test_every_room_is_in_the_table():
    listed = {place for who, _, _ in ROWS for place in who}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= listed
    assert len(ROWS) >= 12


def test_hydra_appears_at_the_door_alone():
    files = [
        file.name
        for file in PACKAGE.rglob("*.py")
        if {"hydra", "omegaconf"} & {module.split(".")[0] for module in imported_modules(file)}
    ]
    assert set(files) == {"config.py", "main.py", "sweep.py"}
