"""The commands of GoGui: the rules of games that it does not know, analyses that it can show, interrupts, positions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ddpzero.play.protocols.gtp.commands_of_all import arguments_of, color_argument, pairs_of
from ddpzero.play.protocols.gtp.commands_of_go import rows_of_numbers, stones_of
from ddpzero.play.protocols.gtp.lines import Refused, Request
from ddpzero.play.protocols.gtp.names import COLOR_NAMES, grid_of, parse_color
from ddpzero.play.protocols.gtp.session import Command, Session
from ddpzero.play.protocols.gtp.stones import in_turns

_BLACK = 0

# ------------------------------------------------------------------ rules


def _game_id(session: Session, request: Request) -> str:
    """Answer the name of the game: GoGui's file of rules, like its own ruler, has names in lower case."""
    return session.game.name


def _board_size(session: Session, request: Request) -> str:
    """Answer the size of the square that GoGui draws; points outside the board are empty in it."""
    return str(max(session.game.board_shape))


def _board(session: Session, request: Request) -> str:
    episode, size = session.table.episode, max(session.game.board_shape)
    rows = [
        row.ljust(size, ".") for row in grid_of(session.game, episode.position, episode.actions)
    ]
    rows = ["." * size] * (size - len(rows)) + rows
    return "\n" + "\n".join(" ".join(row) for row in rows)


def _legal_moves(session: Session, request: Request) -> str:
    episode = session.table.episode
    if episode.is_over:
        return ""
    names, position = session.names, episode.position
    return " ".join(names.name(position, action) for action in episode.legal_actions())


def _side_to_move(session: Session, request: Request) -> str:
    return COLOR_NAMES[session.table.next_player]


def _final_result(session: Session, request: Request) -> str:
    episode, game = session.table.episode, session.game
    if not episode.is_over:
        return "The game is not over."
    returns = game.returns(episode.position)
    if returns[0] == returns[1]:
        return "The game is a draw."
    winner = int(np.argmax(returns))
    points = game.final_points(episode.position)
    counted = "" if points is None else f" {points[winner]} to {points[1 - winner]}"
    return f"{COLOR_NAMES[winner].capitalize()} wins{counted}."


def _of_rules(command: Command) -> Command:
    """Return a command after which both programs have GoGui's names of moves. It compares them letter by letter."""

    def answer(session: Session, request: Request) -> str | None:
        session.speaks_gogui = True
        return command(session, request)

    return answer


RULES: Mapping[str, Command] = {
    "gogui-rules_game_id": _of_rules(_game_id),
    "gogui-rules_board_size": _of_rules(_board_size),
    "gogui-rules_board": _of_rules(_board),
    "gogui-rules_legal_moves": _of_rules(_legal_moves),
    "gogui-rules_side_to_move": _of_rules(_side_to_move),
    "gogui-rules_final_result": _of_rules(_final_result),
}

# ------------------------------------------------------------------ positions


def _play_sequence(session: Session, request: Request) -> str:
    """Make moves, all or none."""
    table, num_moves = session.table, len(session.table.moves)
    try:
        for color, name in pairs_of(request, "moves"):
            action = session.names.parse(table.episode.position, name)
            table.play(parse_color(color), action)
    except Refused:
        table.undo(len(table.moves) - num_moves)
        raise
    return ""


def _setup(session: Session, request: Request) -> str:
    """Put stones onto the board before the first move, beside those that were set up. Black moves next."""
    table = session.table
    if table.moves:
        raise Refused("moves have been made: stones are set up before them")
    stones = in_turns([*table.stones, *stones_of(session, request)])
    table.set_up(stones, _BLACK, table.num_handicap_stones)
    return ""


def _setup_player(session: Session, request: Request) -> str:
    """Say who moves after the stones that were set up."""
    session.table.set_first_player(color_argument(session, request))
    return ""


POSITIONS: Mapping[str, Command] = {"gogui-play_sequence": _play_sequence}
POSITIONS_OF_GO: Mapping[str, Command] = {
    "gogui-setup": _setup,
    "gogui-setup_player": _setup_player,
}

# ------------------------------------------------------------------ analyses


def _interrupt(session: Session, request: Request) -> str:
    """Say that a comment "# interrupt" stops a command that runs."""
    return ""


def _analyze_commands(session: Session, request: Request) -> str:
    lines = ["string/Value/ddpzero-value"]
    if session.go is not None:
        lines += [
            "dboard/Network's Policy/ddpzero-policy",
            "dboard/Ownership/ddpzero-ownership",
            "string/Final Score/final_score",
            "plist/Dead Stones/final_status_list dead",
            "string/Rules/kata-get-rules",
        ]
    return "\n".join([*lines, "none/Clear Cache/clear_cache"])


def _value(session: Session, request: Request) -> str:
    """Answer what the network expects of the position."""
    arguments_of(request, 0)
    player = session.table.next_player
    thoughts = session.evaluate(player).thoughts
    win, draw, loss = (f"{100 * share:.1f} %" for share in thoughts.wdl)
    return f"{COLOR_NAMES[player]}: win {win}, draw {draw}, loss {loss}"


def _policy(session: Session, request: Request) -> str:
    arguments_of(request, 0)
    size = session.game.parameters.size
    policy = session.evaluate(session.table.next_player).thoughts.policy[: size**2]
    return "\n" + rows_of_numbers(policy.reshape(size, size)[::-1])


def _ownership(session: Session, request: Request) -> str:
    """Answer who is expected to own each point: 1 black, -1 white."""
    arguments_of(request, 0)
    player = session.table.next_player
    analyzed = session.evaluate(player)
    if analyzed.thoughts.ownership is None:
        raise Refused("the network has no head for ownership")
    rows = analyzed.rows_of(analyzed.thoughts.ownership)
    return "\n" + rows_of_numbers(rows if player == 0 else -rows)


ANALYSES: Mapping[str, Command] = {
    "gogui-analyze_commands": _analyze_commands,
    "gogui-interrupt": _interrupt,
    "ddpzero-value": _value,
}
ANALYSES_OF_GO: Mapping[str, Command] = {
    "ddpzero-policy": _policy,
    "ddpzero-ownership": _ownership,
}
