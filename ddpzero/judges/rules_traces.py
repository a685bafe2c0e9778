"""Replays recorded games and compares the rules with them at every ply: `ddpzero verify rules`.

Letters: G games, A actions, P entries of a position, N plies of all games together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddpzero.games import Game, variation
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled
from ddpzero.judges.rules_report import (
    Comparison,
    Mismatch,
    RulesReport,
    first_mismatches,
    print_report,
)
from ddpzero.judges.trace_files import read_traces

__all__ = ["Mismatch", "RulesReport", "print_report", "verify_rules"]

_MAX_NAMED = 8


def verify_rules(file: str | Path, game: Game) -> RulesReport:
    """Replay every game of a trace file and compare what the rules say with what was recorded.

    Before each ply: the legal mask, the action, the mover, and that the game goes on. After the last one: that it
    is over, the returns, the board, and score and ownership where both the file and the game have them. The replay
    of a game stops at a recorded action that the rules forbid.
    Raises ValueError for a file that is not of this format or is for another board.
    """
    file = Path(file)
    traces = read_traces(file, game)
    replay = _replay(traces, game)
    masks = replay if _knows_bans(traces, game) else _replay(traces, variation(game, ko="simple"))
    comparisons = [
        *_compare_plies(traces, replay, masks.legal_bits, game),
        *_compare_ends(traces, replay, game),
    ]
    return RulesReport(
        file=file,
        game_name=game.name,
        num_games=len(traces["lengths"]),
        num_plies=int(replay.num_played.sum()),
        num_checks={comparison.what: len(comparison.plies) for comparison in comparisons},
        num_mismatches={
            comparison.what: int(comparison.differs.sum()) for comparison in comparisons
        },
        mismatches=first_mismatches(comparisons, partial(_draw, game, traces["moves"])),
        not_checked=_not_checked(traces, game),
    )


class _Replay(NamedTuple):
    """What the rules say; rows of N as in the file's legal_offsets. Compiled code writes the arrays by name.

    num_played: `[G]` plies played, up to an action that the rules forbid.
    was_reached: `[N]` bool, the plies before which the rules were asked.
    legal_bits: `[N, ceil(A / 8)]`; is_allowed: `[N]` bool, the recorded action is legal.
    movers: `[N]`; goes_on: `[N]` bool, the position is not terminal.
    positions: `[G, P]` after the last ply played.
    """

    num_played: np.ndarray
    was_reached: np.ndarray
    legal_bits: np.ndarray
    is_allowed: np.ndarray
    movers: np.ndarray
    goes_on: np.ndarray
    positions: np.ndarray


def _replay(traces: dict[str, np.ndarray], game: Game) -> _Replay:
    num_games, num_plies = len(traces["lengths"]), len(traces["legal_bits"])
    replay = _Replay(
        num_played=np.zeros(num_games, dtype=np.int64),
        was_reached=np.zeros(num_plies, dtype=np.bool_),
        legal_bits=np.zeros((num_plies, (game.num_actions + 7) // 8), dtype=np.uint8),
        is_allowed=np.zeros(num_plies, dtype=np.bool_),
        movers=np.zeros(num_plies, dtype=np.int8),
        goes_on=np.zeros(num_plies, dtype=np.bool_),
        positions=game.new_positions(num_games),
    )
    _replay_games(
        game.rules,
        traces["moves"].astype(np.int64),
        traces["legal_offsets"].astype(np.int64),
        np.zeros(game.num_actions, dtype=np.bool_),
        replay,
    )
    return replay


@compiled(cache=True)
def _replay_games(rules, moves, offsets, legal, replay):
    """Replay all games into the arrays of a _Replay, zeroed before; legal: `[A]` bool scratch."""
    for game_index in range(replay.positions.shape[0]):
        position = replay.positions[game_index]
        first_row = offsets[game_index]
        for row in range(first_row, offsets[game_index + 1]):
            action = moves[game_index, row - first_row]
            contract.legal_actions(rules, position, legal)
            for index in range(legal.shape[0]):
                replay.legal_bits[row, index >> 3] |= legal[index] << (index & 7)
            replay.was_reached[row] = True
            replay.is_allowed[row] = legal[action]
            replay.movers[row] = contract.current_player(rules, position)
            replay.goes_on[row] = not contract.is_terminal(rules, position)
            if not (replay.is_allowed[row] and replay.goes_on[row]):
                break
            contract.apply_action(rules, position, action)
            replay.num_played[game_index] += 1


def _knows_bans(traces: dict[str, np.ndarray], game: Game) -> bool:
    """Return whether the file records what this game's superko forbids, or the game has no superko."""
    return "psk_bans" in traces or getattr(game.parameters, "ko", "simple") == "simple"


def _compare_plies(
    traces: dict[str, np.ndarray], replay: _Replay, own_legal_bits: np.ndarray, game: Game
) -> list[Comparison]:
    """Compare before each ply that the replay reached; own_legal_bits: compared with the file's legal_bits."""
    rows = np.flatnonzero(replay.was_reached)
    game_indices = np.searchsorted(traces["legal_offsets"], rows, side="right") - 1
    plies = rows - traces["legal_offsets"][game_indices]
    # Bits after the last action are undefined, so ignore what the recorder left there.
    meant_bits = np.packbits(np.ones(game.num_actions, dtype=np.bool_), bitorder="little")
    legal_bits = (traces["legal_bits"] & ~_banned_bits(traces, game))[rows] & meant_bits
    players = traces["players"][game_indices, plies]
    always = np.ones(len(rows), dtype=np.bool_)
    describe_legal = partial(_describe_legal, game)
    return [
        Comparison(what, game_indices, plies, expected, got[rows], describe)
        for what, expected, got, describe in (
            ("legal mask", legal_bits, own_legal_bits, describe_legal),
            ("action", always, replay.is_allowed, _describe_action),
            ("mover", players, replay.movers, _describe_numbers),
            ("goes on", always, replay.goes_on, _describe_goes_on),
        )
    ]


def _banned_bits(traces: dict[str, np.ndarray], game: Game) -> np.ndarray:
    """`[N, ceil(A / 8)]`: what the game's superko forbids of the recorded legal actions."""
    banned = np.zeros_like(traces["legal_bits"])
    ko = getattr(game.parameters, "ko", None)
    if "psk_bans" in traces and ko in ("positional", "situational"):
        bans = traces["psk_bans"].astype(np.int64)
        if ko == "situational" and "psk_bans_ssk_allowed" in traces:
            bans = bans[traces["psk_bans_ssk_allowed"] == 0]
        games, plies, actions = bans.T
        rows = traces["legal_offsets"][games] + plies
        np.bitwise_or.at(banned, (rows, actions >> 3), (1 << (actions & 7)).astype(np.uint8))
    return banned


def _compare_ends(traces: dict[str, np.ndarray], replay: _Replay, game: Game) -> list[Comparison]:
    """Compare the end of each game that was replayed completely.

    Results are compared only in positions that are terminal by the rules; elsewhere they are undefined.
    """
    lengths = traces["lengths"].astype(np.int64)
    complete = np.flatnonzero(replay.num_played == lengths)
    goes_on = np.array(
        [not game.is_terminal(p) for p in replay.positions[complete]], dtype=np.bool_
    )
    over = complete[~goes_on]
    never = np.zeros(len(complete), dtype=np.bool_)
    comparisons = [
        Comparison("over", complete, lengths[complete], never, goes_on, _describe_goes_on)
    ]
    results: list[tuple[str, str, np.ndarray, Callable[[np.ndarray], np.ndarray | int]]] = [
        ("final board", "final_board", complete, game.board),
        ("returns", "returns", over, game.returns),
    ]
    if game.has_score:
        results.append(("score", "score_first_minus_second", over, game.score))
    if game.has_ownership:
        results.append(("ownership", "final_ownership", over, game.ownership))
    for what, name, game_indices, result_of in results:
        if name in traces:
            expected = traces[name][game_indices]
            got = np.array([result_of(p) for p in replay.positions[game_indices]])
            comparisons.append(
                Comparison(
                    what,
                    game_indices,
                    lengths[game_indices],
                    expected,
                    got.reshape(expected.shape),
                    _describe_numbers,
                )
            )
    return comparisons


def _not_checked(traces: dict[str, np.ndarray], game: Game) -> list[str]:
    sentences = []
    if "score_first_minus_second" in traces and not game.has_score:
        sentences.append(f"the recorded scores, for {game.name} has no kernel score")
    if "final_ownership" in traces and not game.has_ownership:
        sentences.append(f"the recorded ownership, for {game.name} has no kernel ownership")
    if not _knows_bans(traces, game):
        sentences.append(
            "superko, which the file does not record: legal masks are those of ko=simple"
        )
    return sentences


def _draw(game: Game, moves: np.ndarray, game_index: int, ply: int) -> str:
    position, last_action = game.initial_position(), None
    for move in moves[game_index, :ply]:
        last_action = int(move)
        position = game.apply_action(position, last_action)
    return game.render(position, last_action)


def _describe_legal(game: Game, bits: np.ndarray, other_bits: np.ndarray) -> str:
    mask, other_mask = (
        np.unpackbits(side, bitorder="little", count=game.num_actions)
        for side in (bits, other_bits)
    )
    actions = np.flatnonzero(mask != other_mask)
    named = [
        f"{game.action_name(action)} is {'legal' if mask[action] else 'not legal'}"
        for action in actions[:_MAX_NAMED]
    ]
    return ", ".join(named) + _rest(len(actions))


def _describe_action(was_allowed: np.ndarray, _: np.ndarray) -> str:
    return "the next action was played" if was_allowed else "the action is not legal"


def _describe_goes_on(goes_on: np.ndarray, _: np.ndarray) -> str:
    return "the game goes on" if goes_on else "the game is over"


def _describe_numbers(entries: np.ndarray, other_entries: np.ndarray) -> str:
    """Describe short rows in full, and of long ones (boards) only the cells that differ."""
    if entries.size <= 2:
        return " ".join(f"{entry:g}" for entry in entries.reshape(-1))
    cells = np.flatnonzero(entries != other_entries)
    named = [f"cell {cell} is {entries[cell]}" for cell in cells[:_MAX_NAMED]]
    return ", ".join(named) + _rest(len(cells))


def _rest(num_differences: int) -> str:
    return f" ({num_differences} in all)" if num_differences > _MAX_NAMED else ""
