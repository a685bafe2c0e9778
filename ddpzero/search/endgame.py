"""Proves positions near the end of the game by exhaustive search, which replaces the evaluator's estimate.

Depth-first alpha-beta (Knuth and Moore, "An Analysis of Alpha-Beta Pruning", 1975) with a killer move per depth. It
gives up when a line is longer than search.endgame_plies; in games that fill the board the first line reaches that
limit within a microsecond.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import Choice, compiled, compiled_apart
from ddpzero.search import points
from ddpzero.system.memory import Layout, empty_arrays, layout_size_bytes

_NO_ACTION = -1
# Positions that need more are left to the evaluator; this many take a few milliseconds.
_MAX_POSITIONS = 50_000

_FRAME = np.dtype(
    [
        ("value", np.float32),  # best value found for the mover, who already has alpha
        ("points", np.float32),  # part of value
        ("alpha", np.float32),
        ("beta", np.float32),  # the opponent does not allow more
        ("action", np.int32),  # being searched
        ("next_action", np.int32),  # lower actions have been tried, in order
        ("killer", np.int32),  # the last action that reached beta at this depth
        ("mover", np.int8),
    ],
    align=True,
)


class EndgameStack(NamedTuple):
    """The line being searched, for one position at a time. Letters: L longest line + 1, P position_size, A actions."""

    frames: np.ndarray  # [L] _FRAME
    positions: np.ndarray  # [L, P]
    legal: np.ndarray  # [L, A] bool, actions not tried yet


def new_endgame_stack(game: Game, endgame_plies: int) -> EndgameStack | None:
    """Allocate the stack, or return None for 0 plies: then the code for exhaustive search is not even compiled."""
    if endgame_plies == 0:
        return None
    arrays = empty_arrays(_layout(game, endgame_plies))
    for array in arrays.values():
        array.fill(0)
    return EndgameStack(**arrays)


def endgame_size_bytes(game: Game, endgame_plies: int) -> int:
    """Memory of the stack that new_endgame_stack allocates."""
    return layout_size_bytes(_layout(game, endgame_plies)) if endgame_plies > 0 else 0


def _layout(game: Game, endgame_plies: int) -> Layout:
    # No line is longer than the game.
    length = min(endgame_plies, game.spec.max_plies) + 1
    return {
        "frames": ((length,), _FRAME),
        "positions": ((length, game.spec.position_size), game.spec.position_dtype),
        "legal": ((length, game.num_actions), np.bool_),
    }


@compiled
def _prove(rules, forest, config, slot, node):
    is_proven = _solve(rules, config, forest.endgame, forest.positions[slot, node])
    # A game that breaks its contract gives values outside [-1, 1]; the search itself reports the fault.
    is_proven = is_proven and abs(forest.endgame.frames[0].value) <= 1.0
    if is_proven:
        forest.nodes[slot, node].value = forest.endgame.frames[0].value
        forest.nodes[slot, node].points = forest.endgame.frames[0].points
    return is_proven


@compiled
def _leave(rules, forest, config, slot, node):
    return False


def _by_stack(rules, forest, *_):
    stack = forest.types[forest.fields.index("endgame")]
    return _prove if getattr(stack, "instance_class", None) is EndgameStack else _leave


# prove_endgame(rules, forest, config, slot, node): whether the node was close enough to the end of the game to be
# proven; then its value and points are exact.
prove_endgame = Choice("prove_endgame", _by_stack)


@compiled_apart
def _solve(rules, config, stack, position):
    """Return whether `position` was close enough to the end to be proven; then frame 0 has its value and points."""
    frames = stack.frames
    for depth in range(frames.shape[0]):
        frames[depth].killer = _NO_ACTION
    contract.copy_position(rules, position, stack.positions[0])
    frames[0].alpha = -1.0
    frames[0].beta = 1.0
    depth = 0
    num_positions = 1
    is_open = False
    while True:
        # The only call, so that the rules are compiled once.
        if not is_open:
            _open_frame(rules, config, stack, depth)
            is_open = True
        action = _next_action(stack, depth)
        if action != _NO_ACTION:
            if depth + 1 == frames.shape[0] or num_positions == _MAX_POSITIONS:
                return False
            _play(rules, stack, depth, action)
            num_positions += 1
            depth += 1
            is_open = False
        elif depth > 0:
            depth -= 1
            _take_value(stack, depth)
        else:
            return True


@compiled
def _open_frame(rules, config, stack, depth):
    """Start searching stack.positions[depth]; a terminal position gets its value at once."""
    frame = stack.frames[depth]
    position = stack.positions[depth]
    frame.mover = contract.current_player(rules, position)
    frame.next_action = 0
    if contract.is_terminal(rules, position):
        frame.value = contract.player_return(rules, position, frame.mover)
        points.add_points(rules, config, position, frame)
        frame.next_action = stack.legal.shape[1]
        frame.beta = -np.inf
    else:
        frame.value = -np.inf
        contract.legal_actions(rules, position, stack.legal[depth])


@compiled
def _next_action(stack, depth):
    """Return the next action to try; _NO_ACTION if all were tried or the opponent would not allow the value."""
    frame = stack.frames[depth]
    if frame.value >= frame.beta:
        return _NO_ACTION
    legal = stack.legal[depth]
    if frame.killer != _NO_ACTION and legal[frame.killer]:
        return frame.killer
    for action in range(frame.next_action, legal.shape[0]):
        if legal[action]:
            frame.next_action = action + 1
            return action
    return _NO_ACTION


@compiled
def _play(rules, stack, depth, action):
    """Push the position after an action, with its alpha-beta window, onto the stack."""
    frame = stack.frames[depth]
    frame.action = action
    stack.legal[depth, action] = False
    contract.copy_position(rules, stack.positions[depth], stack.positions[depth + 1])
    contract.apply_action(rules, stack.positions[depth + 1], action)
    alpha, beta = max(frame.alpha, frame.value), frame.beta
    if contract.current_player(rules, stack.positions[depth + 1]) != frame.mover:
        alpha, beta = -beta, -alpha
    stack.frames[depth + 1].alpha = alpha
    stack.frames[depth + 1].beta = beta


@compiled
def _take_value(stack, depth):
    """Update the frame with the value that the next frame found for its current action."""
    frame, found = stack.frames[depth], stack.frames[depth + 1]
    sign = 1.0 if found.mover == frame.mover else -1.0
    if sign * found.value > frame.value:
        frame.value = sign * found.value
        frame.points = sign * found.points
        if frame.value >= frame.beta:
            frame.killer = frame.action
