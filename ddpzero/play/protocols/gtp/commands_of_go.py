"""The commands of Go alone: komi, rules, handicap, stones that are set up, their status at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ddpzero.play.protocols.gtp.commands_of_all import (
    arguments_of,
    color_argument,
    made_move,
    pairs_of,
    whole_number,
)
from ddpzero.play.protocols.gtp.lines import Refused, Request, syntax_error
from ddpzero.play.protocols.gtp.names import INVALID_VERTEX, parse_color
from ddpzero.play.protocols.gtp.rules import GoRules, kata_rules, kgs_rules, with_field
from ddpzero.play.protocols.gtp.session import Command, GoSettings, Session
from ddpzero.play.protocols.gtp.stones import (
    INVALID_NUMBER,
    chains_of,
    in_turns,
    is_dead,
    most_star_points,
    star_points,
)
from ddpzero.play.protocols.gtp.table import Move
from ddpzero.play.protocols.gtp.turns import ended_by_passes, pass_of

_BLACK = 0
_BAD_LIST = "bad vertex list"


# ------------------------------------------------------------------ komi and rules


def _settings(session: Session) -> GoSettings:
    assert session.go is not None
    return session.go


def _komi(session: Session, request: Request) -> str:
    (text,) = arguments_of(request, 1)
    try:
        komi = float(text)
    except ValueError:
        raise syntax_error("komi is not a number") from None
    if 2 * komi % 1 != 0:
        raise Refused("unacceptable komi: a multiple of 0.5 is needed")
    _change(session, replace(_settings(session), komi=komi))
    return ""


def _change(session: Session, settings: GoSettings) -> None:
    """Play with other rules from now on. Raises Refused, and changes nothing, if that is not possible."""
    before = session.go
    session.go = settings
    try:
        session.change_rules()
    except ValueError:
        session.go = before
        raise Refused("unacceptable komi") from None
    except Refused:
        session.go = before
        raise Refused("a move that was made would not be legal by these rules") from None
    session.prepare()


def _get_komi(session: Session, request: Request) -> str:
    return f"{_settings(session).komi:g}"


def _change_rules(session: Session, rules: GoRules) -> str:
    _change(session, replace(_settings(session), rules=rules))
    return ""


def _kgs_rules(session: Session, request: Request) -> str:
    (name,) = arguments_of(request, 1)
    return _change_rules(session, kgs_rules(name))


def _kata_get_rules(session: Session, request: Request) -> str:
    return _settings(session).rules.as_json()


def _kata_set_rules(session: Session, request: Request) -> str:
    return _change_rules(session, kata_rules(request.text, _settings(session).rules))


def _kata_set_rule(session: Session, request: Request) -> str:
    key, value = arguments_of(request, 2)
    return _change_rules(session, with_field(_settings(session).rules, key, value))


# ------------------------------------------------------------------ handicap and other stones


def _fixed_handicap(session: Session, request: Request) -> str:
    (text,) = arguments_of(request, 1)
    number = whole_number(text, "handicap")
    _require_new(session)
    return _place_handicap(session, star_points(session.game, number))


def _place_free_handicap(session: Session, request: Request) -> str:
    """Place stones on the star points, and where these do not suffice as the network prefers."""
    (text,) = arguments_of(request, 1)
    number = whole_number(text, "handicap")
    _require_new(session)
    if not 2 <= number < session.game.num_actions - 1:
        raise Refused(INVALID_NUMBER)
    try:
        return _place_handicap(session, _free_handicap(session, number))
    except Exception:
        session.table.clear(session.game)
        raise


def _free_handicap(session: Session, number: int) -> list[int]:
    """Return where stones go: they stand on the board one by one while the network is asked for the next."""
    cells = most_star_points(session.game, number)
    while len(cells) < number:
        _set_up_handicap(session, cells)
        policy = session.evaluate(_BLACK).thoughts.policy.copy()
        policy[[*cells, session.game.num_actions - 1]] = -1.0
        cells.append(int(np.argmax(policy)))
    return cells


def _set_free_handicap(session: Session, request: Request) -> str:
    _require_new(session)
    try:
        cells = [_cell(session, text) for text in request.arguments]
    except Refused:
        raise Refused(_BAD_LIST) from None
    if not 2 <= len(cells) < session.game.num_actions - 1 or len(set(cells)) < len(cells):
        raise Refused(_BAD_LIST)
    _place_handicap(session, cells)
    return ""


def _require_new(session: Session) -> None:
    if not session.table.is_new or session.game.board(session.table.episode.position).any():
        raise Refused("board not empty")


def _place_handicap(session: Session, cells: list[int]) -> str:
    """Begin with black stones, as moves of black with passes of white between them; return their names."""
    _set_up_handicap(session, cells)
    session.change_rules()
    # Bonus points of a handicap make another game, whose code must not be compiled in the time of a move.
    session.prepare()
    return " ".join(map(session.game.action_name, cells))


def _set_up_handicap(session: Session, cells: list[int]) -> None:
    try:
        session.table.set_up([Move(_BLACK, cell) for cell in cells], 1, len(cells))
    except Refused:
        raise Refused(_BAD_LIST) from None


def _set_position(session: Session, request: Request) -> str:
    """Put stones onto an empty board, by moves that capture nothing; the boards in between count for superko."""
    session.table.set_up(in_turns(stones_of(session, request)), _BLACK)
    return ""


def stones_of(session: Session, request: Request) -> list[Move]:
    """Return the stones that a command lists as colors and points in turns. Raises Refused."""
    return [
        Move(parse_color(color), _cell(session, point))
        for color, point in pairs_of(request, "points")
    ]


def _cell(session: Session, text: str) -> int:
    action = session.names.parse(session.table.episode.position, text)
    if action == pass_of(session.game):
        raise Refused(INVALID_VERTEX)
    return action


# ------------------------------------------------------------------ the end


def _final_status_list(session: Session, request: Request) -> str:
    """List stones by their status.

    A chain is dead if the network has a head for ownership and expects its points to be the opponent's if the game goes
    on, also after the two passes that ended it. Without such a head, and after the longest game that the rules allow,
    all are alive. None are in seki. final_score counts all stones that are on the board, as the rules here do.
    """
    (status,) = arguments_of(request, 1)
    if status not in ("alive", "dead", "seki"):
        raise syntax_error("final_status_list takes alive, dead or seki")
    if status == "seki":
        return ""
    dead = _dead_chains(session)
    chains = chains_of(session.game, session.table.episode.position)
    chosen = dead if status == "dead" else [chain for chain in chains if chain not in dead]
    return "\n".join(" ".join(map(session.game.action_name, chain)) for chain in chosen)


def _dead_chains(session: Session) -> list[list[int]]:
    episode = session.table.episode
    if episode.is_over and not ended_by_passes(episode):
        return []
    # Of a game that two passes have ended, this is the position before them.
    analyzed = session.evaluate(episode.current_player)
    owners = analyzed.thoughts.ownership
    if owners is None:
        return []
    black_owns = owners if episode.current_player == _BLACK else -owners
    chains = chains_of(session.game, episode.position)
    return [chain for chain in chains if is_dead(session.game, episode.position, chain, black_owns)]


def _kgs_genmove_cleanup(session: Session, request: Request) -> str:
    """Choose a move after a dispute about dead stones.

    The search counts all stones as alive, so that it passes only where no dead stone is left that matters. It does not
    resign.
    """
    player = color_argument(session, request)
    return made_move(session, player, session.choose(player, may_resign=False))


# ------------------------------------------------------------------ the network


def _kata_raw_nn(session: Session, request: Request) -> str:
    """Answer what the network says of the position, from white's side, without a search."""
    (symmetry,) = arguments_of(request, 1)
    if symmetry != "0":
        raise Refused("only symmetry 0 is evaluated here")
    player = session.table.next_player
    analyzed = session.evaluate(player)
    thoughts, sign = analyzed.thoughts, 1 if player == 1 else -1
    win, draw, loss = thoughts.wdl[::sign]
    size, passes = session.game.parameters.size, session.game.num_actions - 1
    policy = np.full(session.game.num_actions, np.nan)
    for move in thoughts.moves:
        policy[move.action] = move.prior
    lines = [
        "symmetry 0",
        f"whiteWin {win + draw / 2:.6f}",
        f"whiteLoss {loss + draw / 2:.6f}",
        "noResult 0",
    ]
    if thoughts.score is not None:
        lines.append(f"whiteLead {sign * analyzed.lead(thoughts.score):.4f}")
    lines += ["policy", rows_of_numbers(policy[: size**2].reshape(size, size)[::-1])]
    lines.append(f"policyPass {rows_of_numbers(policy[None, passes:])}")
    if thoughts.ownership is not None:
        lines += ["whiteOwnership", rows_of_numbers(sign * analyzed.rows_of(thoughts.ownership))]
    return "\n".join(lines)


def rows_of_numbers(rows: np.ndarray) -> str:
    return "\n".join(
        " ".join("NAN" if np.isnan(number) else f"{number:.6f}" for number in row) for row in rows
    )


COMMANDS: Mapping[str, Command] = {
    "komi": _komi,
    "get_komi": _get_komi,
    "kgs-rules": _kgs_rules,
    "kata-get-rules": _kata_get_rules,
    "kata-set-rules": _kata_set_rules,
    "kata-set-rule": _kata_set_rule,
    "fixed_handicap": _fixed_handicap,
    "place_free_handicap": _place_free_handicap,
    "set_free_handicap": _set_free_handicap,
    "set_position": _set_position,
    "final_status_list": _final_status_list,
    "kgs-genmove_cleanup": _kgs_genmove_cleanup,
    "kata-raw-nn": _kata_raw_nn,
}
