"""The commands of every game: what the program is, boards, moves, time, scores."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ddpzero import __version__
from ddpzero.games import Game, variation
from ddpzero.play.protocols.gtp.lines import Refused, Request, syntax_error
from ddpzero.play.protocols.gtp.loading import table_of_file
from ddpzero.play.protocols.gtp.names import INVALID_VERTEX, parse_color, with_letters_of
from ddpzero.play.protocols.gtp.session import Chosen, Command, GoSettings, Session
from ddpzero.play.protocols.gtp.times import gtp_times, named_times, seconds_and_moves
from ddpzero.play.protocols.gtp.turns import can_pass_always

_UNACCEPTABLE_SIZE = "unacceptable size"
_MOST_DIGITS = 18


def arguments_of(request: Request, *counts: int) -> list[str]:
    """Return the arguments of a command. counts: how many it takes. Raises Refused."""
    arguments = request.arguments
    if len(arguments) not in counts:
        takes = " or ".join(map(str, counts))
        raise syntax_error(f"{request.command} takes {takes} argument{'s' * (takes != '1')}")
    return arguments


def pairs_of(request: Request, what: str) -> list[tuple[str, str]]:
    """Return the colors, and what follows each of them, that a command lists. Raises Refused."""
    words = request.arguments
    if len(words) % 2:
        raise syntax_error(f"{request.command} takes colors and {what} in turns")
    return list(zip(words[::2], words[1::2], strict=True))


def whole_number(text: str, what: str) -> int:
    """Return a number from 0 on. Raises Refused."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise syntax_error(f"{what} is not a whole number from 0 on")
    return int(text)


# ------------------------------------------------------------------ the program


def _protocol_version(session: Session, request: Request) -> str:
    return "2"


def _name(session: Session, request: Request) -> str:
    return "ddpzero"


def _version(session: Session, request: Request) -> str:
    return f"{__version__} ({session.agent.name})"


def _known_command(session: Session, request: Request) -> str:
    is_known = len(request.arguments) == 1 and request.arguments[0] in _listed(session)
    return "true" if is_known else "false"


def _list_commands(session: Session, request: Request) -> str:
    return "\n".join(_listed(session))


def _listed(session: Session) -> list[str]:
    """Return the commands that mean something: in a game without komi, it is accepted and not listed."""
    return [name for name in session.commands if name != "komi" or session.go is not None]


def _quit(session: Session, request: Request) -> str:
    return ""


def _stop(session: Session, request: Request) -> str:
    """Stop pondering; every line does."""
    return ""


def _cputime(session: Session, request: Request) -> str:
    return f"{time.process_time():.3f}"


def _clear_cache(session: Session, request: Request) -> str:
    session.forget_thoughts()
    return ""


# ------------------------------------------------------------------ boards


def _boardsize(session: Session, request: Request) -> str:
    """Also takes two equal numbers, as MoHex does."""
    sizes = {whole_number(size, "the size") for size in arguments_of(request, 1, 2)}
    if len(sizes) > 1:
        raise Refused(_UNACCEPTABLE_SIZE)
    size = sizes.pop()
    if hasattr(session.game.parameters, "size"):
        _set_board(session, size=size)
    elif size != max(session.game.board_shape):
        raise Refused(_UNACCEPTABLE_SIZE)
    else:
        session.begin_game(session.game)
        session.prepare()
    return ""


def _rectangular_boardsize(session: Session, request: Request) -> str:
    columns, rows = (whole_number(size, "the size") for size in arguments_of(request, 2))
    parameters = session.game.parameters
    if hasattr(parameters, "size") and rows == columns:
        _set_board(session, size=rows)
    elif hasattr(parameters, "rows") and hasattr(parameters, "columns"):
        _set_board(session, rows=rows, columns=columns)
    else:
        raise Refused(_UNACCEPTABLE_SIZE)
    return ""


def _set_board(session: Session, **parameters: int) -> None:
    try:
        if session.go is None:
            game = variation(session.game, **parameters)
        else:
            game = session.go.game_of(session.game, 0, handicap=0, **parameters)
    except ValueError:
        raise Refused(_UNACCEPTABLE_SIZE) from None
    if not session.agent.fits(game):
        raise Refused(_UNACCEPTABLE_SIZE)
    session.begin_game(game)
    session.prepare()


def _clear_board(session: Session, request: Request) -> str:
    arguments_of(request, 0)
    if session.go is None:
        session.begin_game(session.game)
    else:
        session.begin_game(session.go.game_of(session.game, 0, handicap=0))
    session.prepare()
    return ""


def _loadsgf(session: Session, request: Request) -> str:
    """Load a game up to the position before a move, counted from 1, or its end."""
    file, number = _file_and_number(request.text)
    try:
        table = table_of_file(file, session.game)
    except (ValueError, OSError, Refused) as error:
        raise Refused(f"cannot load file: {error}") from None
    if not session.agent.fits(table.game):
        raise Refused(f"cannot load file: {_UNACCEPTABLE_SIZE}")
    if number is not None:
        table.undo(max(0, len(table.moves) - (number - 1)))
    go = session.go
    if go is not None:
        parameters = table.game.parameters
        rules = replace(go.rules, ko=parameters.ko, suicide=parameters.suicide)
        go = GoSettings(parameters.komi, rules)
        table.change_rules(go.game_of(table.game, table.num_handicap_stones))
    session.begin_game(table.game)
    session.table, session.go = table, go
    session.prepare()
    return ""


def _file_and_number(text: str) -> tuple[str, int | None]:
    """Return the file and the move that loadsgf names. The name of a file may have blanks. Raises Refused."""
    if not text:
        raise syntax_error("loadsgf takes a file and the number of a move")
    file, _, number = text.rpartition(" ")
    if file and number.isascii() and number.isdecimal() and not Path(text).is_file():
        return file.strip().strip('"'), max(1, whole_number(number, "the number of the move"))
    return text.strip('"'), None


def _showboard(session: Session, request: Request) -> str:
    episode, game = session.table.episode, session.game
    text = game.render(episode.position, episode.last_action)
    text = with_letters_of(session.names, game.board_shape[1], text)
    if episode.is_over:
        return f"\n{text}\nThe game is over."
    return f"\n{text}\n{('Black', 'White')[session.table.next_player]} to play."


def no_komi(session: Session, request: Request) -> str:
    """Take a komi in a game that has none, and do nothing: Sabaki begins every game with one, whatever is listed."""
    (text,) = arguments_of(request, 1)
    try:
        float(text)
    except ValueError:
        raise syntax_error("komi is not a number") from None
    return ""


# ------------------------------------------------------------------ moves


def _play(session: Session, request: Request) -> str:
    arguments = request.arguments
    if len(arguments) != 2:
        raise Refused(INVALID_VERTEX)
    try:
        player = parse_color(arguments[0])
    except Refused:
        raise Refused(INVALID_VERTEX) from None
    action = session.names.parse(session.table.episode.position, arguments[1])
    session.table.play(player, action)
    return ""


def color_argument(session: Session, request: Request) -> int:
    """Return the color that is asked to move. Raises Refused."""
    (color,) = arguments_of(request, 1)
    return parse_color(color)


def _genmove(session: Session, request: Request) -> str:
    player = color_argument(session, request)
    return made_move(session, player, session.choose(player))


def made_move(session: Session, player: int, chosen: Chosen) -> str:
    """Make a move that was chosen; return its name."""
    if chosen.action is not None:
        session.table.play(player, chosen.action)
        session.ponder_next()
    return chosen.name


def _reg_genmove(session: Session, request: Request) -> str:
    player = color_argument(session, request)
    return session.choose(player, is_timed=False).name


def _undo(session: Session, request: Request) -> str:
    arguments_of(request, 0)
    session.table.undo()
    return ""


def _gg_undo(session: Session, request: Request) -> str:
    arguments = arguments_of(request, 0, 1)
    session.table.undo(whole_number(arguments[0], "the number of moves") if arguments else 1)
    return ""


# ------------------------------------------------------------------ time


def _time_settings(session: Session, request: Request) -> str:
    session.set_times(gtp_times(request.arguments))
    session.prepare()
    return ""


def _kgs_time_settings(session: Session, request: Request) -> str:
    session.set_times(named_times(request.arguments, allows_fischer=False))
    session.prepare()
    return ""


def _kata_time_settings(session: Session, request: Request) -> str:
    session.set_times(named_times(request.arguments, allows_fischer=True))
    session.prepare()
    return ""


def _kata_list_time_settings(session: Session, request: Request) -> str:
    return "none absolute byoyomi canadian fischer"


def _time_left(session: Session, request: Request) -> str:
    color, seconds, moves = arguments_of(request, 3)
    session.set_time_left(parse_color(color), *seconds_and_moves(seconds, moves))
    return ""


# ------------------------------------------------------------------ the end


def _final_score(session: Session, request: Request) -> str:
    game, position = session.game, session.table.episode.position
    if can_pass_always(game):
        position = position_after_passes(game, position)
    if not game.is_terminal(position):
        raise Refused("cannot score")
    returns = game.returns(position)
    if returns[0] == returns[1]:
        return "0"
    winner = "BW"[int(np.argmax(returns))]
    if not game.has_score:
        return f"{winner}+"
    margin = game.score(position) - getattr(game.parameters, "komi", 0)
    return f"{winner}+{abs(margin):.1f}"


def position_after_passes(game: Game, position: np.ndarray) -> np.ndarray:
    """Return a position of Go after both players have passed."""
    while not game.is_terminal(position):
        position = game.apply_action(position, game.num_actions - 1)
    return position


# ------------------------------------------------------------------ parameters


def _kata_list_params(session: Session, request: Request) -> str:
    return " ".join(_PARAMETERS)


def _kata_get_param(session: Session, request: Request) -> str:
    (key,) = arguments_of(request, 1)
    strength = session.strength
    values: Mapping[str, object] = {
        "maxVisits": "unlimited" if strength.simulations is None else strength.simulations,
        "maxTime": "unlimited"
        if strength.time.move_seconds is None
        else strength.time.move_seconds,
        "ponderingEnabled": str(strength.ponders).lower(),
        "allowResignation": str(strength.resigns).lower(),
    }
    if key not in values:
        raise Refused(f"unknown parameter: known are {', '.join(_PARAMETERS)}")
    return str(values[key])


_PARAMETERS = ("maxVisits", "maxTime", "ponderingEnabled", "allowResignation")


def _kata_set_param(session: Session, request: Request) -> str:
    key, value = arguments_of(request, 2)
    if key == "maxVisits":
        visits = whole_number(value, "maxVisits")
        session.strength = replace(session.strength, simulations=visits)
    elif key == "maxTime":
        session.set_move_seconds(_positive_seconds(value))
    elif key in ("ponderingEnabled", "allowResignation"):
        if value.lower() not in ("true", "false"):
            raise syntax_error(f"{key} takes true or false")
        is_on = value.lower() == "true"
        if key == "ponderingEnabled":
            session.strength = replace(session.strength, ponders=is_on)
        else:
            session.strength = replace(session.strength, resigns=is_on)
    else:
        raise Refused(f"unknown parameter: known are {', '.join(_PARAMETERS)}")
    return ""


def _positive_seconds(text: str) -> float:
    seconds, _ = seconds_and_moves(text, "0")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise syntax_error("maxTime takes seconds above 0")
    return seconds


COMMANDS: Mapping[str, Command] = {
    "protocol_version": _protocol_version,
    "name": _name,
    "version": _version,
    "known_command": _known_command,
    "list_commands": _list_commands,
    "quit": _quit,
    "boardsize": _boardsize,
    "rectangular_boardsize": _rectangular_boardsize,
    "clear_board": _clear_board,
    "play": _play,
    "genmove": _genmove,
    "reg_genmove": _reg_genmove,
    "undo": _undo,
    "gg-undo": _gg_undo,
    "time_settings": _time_settings,
    "kgs-time_settings": _kgs_time_settings,
    "kata-time_settings": _kata_time_settings,
    "kata-list_time_settings": _kata_list_time_settings,
    "time_left": _time_left,
    "final_score": _final_score,
    "showboard": _showboard,
    "loadsgf": _loadsgf,
    "clear_cache": _clear_cache,
    "stop": _stop,
    "cputime": _cputime,
    "kata-list-params": _kata_list_params,
    "kata-get-param": _kata_get_param,
    "kata-set-param": _kata_set_param,
}
