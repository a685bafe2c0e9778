"""Earlier names of modules that games from outside the tree import: they work for one more version.

Called by loader.py before such a game is imported. Version 0.3 drops this file.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

_NEW_NAMES = {
    "ddpzero.games.boards": "ddpzero.games.shared.boards",
    "ddpzero.games.compiled": "ddpzero.games.core.compiled",
    "ddpzero.games.contract": "ddpzero.games.core.contract",
    "ddpzero.games.lines": "ddpzero.games.shared.lines",
    "ddpzero.games.random_bits": "ddpzero.games.core.random_bits",
    "ddpzero.games.spec": "ddpzero.games.core.spec",
    "ddpzero.games.stones": "ddpzero.games.shared.stones",
    "ddpzero.games.team_contract": "ddpzero.games.core.team_contract",
    "ddpzero.games.team_game": "ddpzero.games.core.team_game",
}


def keep_old_names() -> None:
    """Register the modules under their old names, too."""
    for old, new in _NEW_NAMES.items():
        if old not in sys.modules:
            sys.modules[old] = importlib.import_module(new)


def tell_of_old_names(file: Path) -> None:
    """Log a warning for each old name in a game's file, once per node. Does not look at other files of that game."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    for old, new in _NEW_NAMES.items():
        if re.search(rf"\b{re.escape(old)}\b", text):
            logger.warning(
                "%s imports %s, which is %s now: change that import, the next version does without the old name.",
                file,
                old,
                new,
            )
