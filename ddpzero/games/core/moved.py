"""Earlier names of what games from outside the tree import: they work for one more version.

Called by loader.py before such a game is imported. The next version drops this file.
"""

from __future__ import annotations

import ast
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_GAMES = "ddpzero.games"
# Earlier name to new name, inside ddpzero.games.
_MODULES = {
    "boards": "shared.boards",
    "compiled": "core.compiled",
    "contract": "core.contract",
    "contract_checks": "core.contract_checks",
    "frame": "core.embedding",
    "game": "core.game",
    "go_board": "go.board",
    "go_history": "go.history",
    "lines": "shared.lines",
    "loader": "core.loader",
    "random_bits": "core.random_bits",
    "single": "core.single",
    "snake_agents": "snakes.agents",
    "snake_bits": "snakes.bits",
    "snake_pictures": "snakes.pictures",
    "snake_rules": "snakes.rules",
    "snake_views": "snakes.views",
    "spec": "core.spec",
    "stones": "shared.stones",
    "team_contract": "core.team_contract",
    "team_contract_checks": "core.team_contract_checks",
    "team_game": "core.team_game",
    "team_lockstep": "core.team_lockstep",
}
# Module, earlier name and new name of functions and classes in it.
_OBJECTS = (
    (f"{_GAMES}.core.embedding", "Placement", "BoardEmbedding"),
    (f"{_GAMES}.core.embedding", "place", "embed_board"),
    (f"{_GAMES}.go.board", "neighbour", "neighbor"),
    (f"{_GAMES}.snakes.rules", "neighbour", "neighbor"),
)
_NEW_NAMES = {f"{_GAMES}.{old}": f"{_GAMES}.{new}" for old, new in _MODULES.items()}
# Modules that are packages now, with the module that has what they had.
_PACKAGES = {f"{_GAMES}.{name}": f"{_GAMES}.{name}.game" for name in ("go", "snakes")}


def keep_old_names() -> None:
    """Make modules, functions and classes known under their old names, too."""
    for old, new in _NEW_NAMES.items():
        if old not in sys.modules:
            sys.modules[old] = importlib.import_module(new)
    for name, old, new in _OBJECTS:
        module = importlib.import_module(name)
        setattr(module, old, getattr(module, new))
    for package, game in _PACKAGES.items():
        # Python calls it for names that the package itself does not have.
        vars(importlib.import_module(package))["__getattr__"] = _names_of(game)


def _names_of(module: str) -> Any:
    return lambda name: getattr(importlib.import_module(module), name)


def tell_of_old_names(file: Path) -> None:
    """Log a warning about the old names in a game's file, once per node. Does not look at other files of that game."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    imported = set(_imported_names(file))
    moved = [f"{new} for {old}" for old, new in _NEW_NAMES.items() if old in imported]
    if moved:
        logger.warning(
            "%s imports modules by their earlier names, which the next version does not have: write %s.",
            file,
            ", ".join(moved),
        )


def _imported_names(file: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports, with and without the last part."""
    try:
        tree = ast.parse(file.read_bytes())
    # Reported when the file is imported.
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
