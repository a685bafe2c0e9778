"""Writes a page that plays in the browser: rules and a short search in JavaScript, the network by onnxruntime-web.

No server takes part: any host of static files will do. The board is the one of `ddpzero web`, drawn from the game's
geometry. tests/export compares the rules in static/games with ours, in a browser.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ddpzero import PACKAGE_DIR
from ddpzero.algorithms.base import Exportable
from ddpzero.arena.agents import Agent
from ddpzero.export.one_file import INDEX, in_one_file, is_one_file
from ddpzero.export.onnxruntime_web import LICENSE_TEXT, runtime_files
from ddpzero.games import Game, TeamGame
from ddpzero.system.errors import UserError, require
from ddpzero.system.json_text import json_text
from ddpzero.system.whole_files import replace_whole

STATIC_FOLDER = PACKAGE_DIR / "export" / "static"
# Of `ddpzero web`, whose board and panels these are.
SHARED_FOLDER = PACKAGE_DIR / "web" / "static"
SHARED_FILES = (
    *("board.js", "panels.js", "shapes.js", "text.js", "theme.js"),
    *("style.css", "icon.svg"),
    *("vendor/htm-preact-standalone.mjs", "vendor/htm-LICENSE", "vendor/preact-LICENSE"),
)
# The games whose rules are in static/games.
PLAYABLE = ("connect_four", "gomoku", "hex", "othello")
# Constants of the search in the browser, by their names in the settings of a search.
_SEARCH = ("c_puct", "c_puct_base", "first_play_reduction")


def require_playable(game: Game | TeamGame, exportable: Exportable) -> None:
    """Raise UserError for a game or a network that the page cannot play."""
    is_known = isinstance(game, Game) and game.source is None and game.name in PLAYABLE
    require(
        is_known,
        f"--static: the page cannot play {game.name}: its rules exist in JavaScript for {', '.join(PLAYABLE)}. "
        "Leave --static out; `ddpzero web` plays any game.",
    )
    names = [output.name for output in exportable.outputs]
    require(
        names[:2] == ["policy_logits", "value"] and exportable.input.name == "planes",
        f"--static: the page needs a network with planes, policy_logits and value, not {', '.join(names)}.",
    )


def write_page(
    agent: Agent, model: bytes, card: bytes, path: Path, onnxruntime_web: Path | None
) -> None:
    """Write the page and print its size. Raises UserError without onnxruntime-web.

    model: the content of the .onnx file. path: a folder that exists, or a file with all of the page in it.
    onnxruntime_web: see runtime_files.
    """
    assert isinstance(agent.game, Game)
    files = page_files(agent.game, agent.model, _search_constants(agent), model, card)
    for name, content in runtime_files(onnxruntime_web).items():
        files[f"onnxruntime/{name}"] = content
    if is_one_file(path):
        content = in_one_file(files)
        replace_whole(path, content)
        print(
            f"{path}: a page of {len(content) / 1e6:.1f} MB, which a browser opens without a server"
        )
        return
    # Last, so that a page without all its parts has no index.
    files[INDEX] = files.pop(INDEX)
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path / name, content)
    size = sum(len(content) for content in files.values())
    print(
        f"{path}: a page of {size / 1e6:.1f} MB; to see it: python3 -m http.server --directory {path}, and then "
        "http://localhost:8000"
    )


def page_files(
    game: Game, model_name: str, search: Mapping[str, float], model: bytes, card: bytes
) -> dict[str, bytes]:
    """Return name -> content of all files but onnxruntime-web's two."""
    own = [path for path in STATIC_FOLDER.rglob("*") if path.is_file()]
    files = {str(path.relative_to(STATIC_FOLDER)): path.read_bytes() for path in own}
    files |= {name: (SHARED_FOLDER / name).read_bytes() for name in SHARED_FILES}
    files |= {"model.onnx": model, "card.json": card, "onnxruntime/LICENSE": LICENSE_TEXT.encode()}
    title = game.name.replace("_", " ").title()
    parameters = {
        name: value for name, value in game.arguments.items() if name not in ("name", "source")
    }
    page = {
        "title": title,
        "model": model_name,
        "game": {"name": game.name, "parameters": parameters},
        "geometry": game.geometry.as_dict(),
        "names": [game.action_name(action) for action in range(game.num_actions)],
        "search": dict(search),
    }
    # In a script, "</" would end it.
    values = {"title": html.escape(title), "page": json_text(page).replace("</", "<\\/")}
    index = files[INDEX].decode()
    files[INDEX] = re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], index).encode()
    return files


def _search_constants(agent: Agent) -> dict[str, float]:
    search: Any = getattr(agent.algorithm, "search", None)
    constants = {name: getattr(search, name, math.nan) for name in _SEARCH}
    if not all(
        isinstance(value, float | int) and math.isfinite(value) for value in constants.values()
    ):
        raise UserError(
            f"--static: {agent.plugin} has no settings {', '.join(f'search.{name}' for name in _SEARCH)}, which the "
            "search in the browser needs."
        )
    return constants
