"""Which commands a session knows: those of every game, and those that programs for its game expect."""

from __future__ import annotations

from ddpzero.games import Game
from ddpzero.play.protocols.gtp import (
    commands_of_all,
    commands_of_analysis,
    commands_of_go,
    commands_of_gogui,
)
from ddpzero.play.protocols.gtp.commands_of_all import arguments_of
from ddpzero.play.protocols.gtp.lines import Refused, Request
from ddpzero.play.protocols.gtp.session import Command, Session
from ddpzero.play.protocols.gtp.turns import can_pass_always


def commands_of(game: Game) -> dict[str, Command]:
    commands = dict(commands_of_all.COMMANDS)
    if can_pass_always(game):
        commands |= commands_of_go.COMMANDS
    else:
        commands |= {"komi": commands_of_all.no_komi}
        commands |= commands_of_gogui.RULES
    if game.name == "othello":
        # Of GRhino.
        commands |= {"list_games": _list_games, "set_game": _set_game}
    commands |= commands_of_analysis.COMMANDS
    commands |= commands_of_gogui.POSITIONS
    commands |= commands_of_gogui.ANALYSES
    if can_pass_always(game):
        commands |= commands_of_gogui.POSITIONS_OF_GO
        commands |= commands_of_gogui.ANALYSES_OF_GO
    return commands


def _list_games(session: Session, request: Request) -> str:
    return "Othello"


def _set_game(session: Session, request: Request) -> str:
    (name,) = arguments_of(request, 1)
    if name.lower() != "othello":
        raise Refused("unknown game")
    return ""
