"""Games by name, or from a file of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ddpzero.games import Game
from ddpzero.games import load_game as load_game_of
from ddpzero.system.errors import UserError


def load_game(name: str | Path, **parameters: Any) -> Game:
    """Return a board game: the rules, for Position, ddpzero.load, match and train.

        ddpzero.load_game("gomoku", size=9)
        ddpzero.load_game("my_game.py")            # a game of your own: see ddpzero/games/README.md

    name: of a game of ddpzero (tic_tac_toe, connect_four, gomoku, othello, hex, dots_and_boxes, go), or the path of a
    game's .py file. parameters: of the game, as conf/game lists them; the others keep their defaults.
    Raises UserError for an unknown game or parameter, or a file that breaks the contract.
    """
    text = str(name)
    is_file = text.endswith(".py")
    try:
        if is_file:
            file = Path(text).expanduser().resolve()
            return load_game_of(file.stem, str(file), **parameters)
        return load_game_of(text, **parameters)
    except ValueError as error:
        raise UserError(str(error)) from None
