"""Finds wins that one side can force within a few plies, before a leaf is evaluated.

Depth-first search for a win or a loss in at most search.forced_win_plies plies; all else counts as unknown. Each node
looks at once for actions that end the game, because most forced wins are short. A found result is exact, so it replaces
the evaluator's estimate, which is the more expensive the larger the network is. Its score is that of the win that was
found first; another win may score more. It gives up when it has met search.endgame_positions positions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core import contract
from ddpzero.games.core.compiled import compiled, compiled_apart
from ddpzero.search import points
from ddpzero.search.stacks import choose_by_stack, new_stack
from ddpzero.system.memory import Layout, layout_size_bytes

_WIN, _UNKNOWN, _LOSS = 1, 0, -1

_FRAME = np.dtype(
    [
        ("result", np.int8),  # best of the actions tried, for the mover; a loss before the first
        ("value", np.float32),  # of a terminal position, with its share of points
        ("points", np.float32),  # of the result, for the mover
        ("mover", np.int8),
        ("is_known", np.bool_),  # no action is tried
        ("is_deep", np.bool_),  # the replies to its actions are searched, not only their ends
        ("action", np.int32),  # being searched
    ],
    align=True,
)


class WinStack(NamedTuple):
    """The line being searched, for one position at a time. Letters: L longest line + 1, P position_size, A actions."""

    frames: np.ndarray  # [L] _FRAME
    positions: np.ndarray  # [L, P]
    legal: np.ndarray  # [L, A] bool
    counts: np.ndarray  # [3] int64: positions searched; of those, with a forced result; met


def new_win_stack(game: Game, plies: int) -> WinStack | None:
    """Allocate the stack, or return None for 0 plies: then the code for this search is not even compiled."""
    return new_stack(WinStack, _layout(game, plies)) if plies > 0 else None


def win_stack_size_bytes(game: Game, plies: int) -> int:
    """Memory of the stack that new_win_stack allocates."""
    return layout_size_bytes(_layout(game, plies)) if plies > 0 else 0


def _layout(game: Game, plies: int) -> Layout:
    # No line is longer than the game.
    length = min(plies, game.spec.max_plies) + 1
    size, num_actions = game.spec.position_size, game.num_actions
    return {
        "frames": ((length,), _FRAME),
        "positions": ((length, size), game.spec.position_dtype),
        "legal": ((length, num_actions), np.bool_),
        "counts": ((3,), np.int64),
    }


@compiled
def _find(rules, forest, config, slot, node):
    result = _forced_result(rules, config, forest.forced_wins, forest.positions[slot, node])
    if result != _UNKNOWN:
        found = forest.forced_wins.frames[0].points
        forest.nodes[slot, node].points = found
        forest.nodes[slot, node].value = points.with_points(config, result, found)
    return result != _UNKNOWN


# find_forced_win(rules, forest, config, slot, node): whether a side can force a win from the node, which then has its
# value.
find_forced_win = choose_by_stack("find_forced_win", "forced_wins", WinStack, _find)


@compiled_apart
def _forced_result(rules, config, stack, position):
    """Return whether the mover of a position that is not terminal can force a win, or cannot avoid a loss."""
    frames = stack.frames
    contract.copy_position(rules, position, stack.positions[0])
    depth = 0
    num_positions = 0
    is_open = False
    while True:
        # The only call, so that the rules are compiled once.
        if not is_open:
            num_positions += 1
            _open_frame(rules, config, stack, depth)
            is_open = True
        if _next_action(stack, depth):
            if num_positions >= config.endgame_positions:
                frames[0].result = _UNKNOWN
                break
            contract.copy_position(rules, stack.positions[depth], stack.positions[depth + 1])
            contract.apply_action(rules, stack.positions[depth + 1], frames[depth].action)
            depth += 1
            is_open = False
        elif depth > 0:
            depth -= 1
            _take_result(stack, depth)
        else:
            break
    stack.counts[0] += 1
    stack.counts[1] += frames[0].result != _UNKNOWN
    stack.counts[2] += num_positions
    return frames[0].result


@compiled
def _open_frame(rules, config, stack, depth):
    """Start searching stack.positions[depth]. Below a node that looks only for ends, all else is unknown at once."""
    frame = stack.frames[depth]
    position = stack.positions[depth]
    frame.mover = contract.current_player(rules, position)
    frame.action = -1
    frame.is_deep = False
    frame.result = _UNKNOWN
    frame.points = 0.0
    frame.is_known = True
    if contract.is_terminal(rules, position):
        value = contract.player_return(rules, position, frame.mover)
        if value >= 1.0:
            frame.result = _WIN
        elif value <= -1.0:
            frame.result = _LOSS
        frame.value = value
        points.add_points(rules, config, position, frame)
    elif depth == 0 or stack.frames[depth - 1].is_deep:
        frame.is_known = False
        _begin_worst(frame)
        contract.legal_actions(rules, position, stack.legal[depth])


@compiled
def _next_action(stack, depth):
    """Go on to the next action of a frame; return False if its result is decided."""
    frame = stack.frames[depth]
    if frame.is_known or frame.result == _WIN or _is_cut(stack, depth):
        return False
    if _step(stack, depth):
        return True
    if frame.action < 0:
        frame.result = _UNKNOWN  # no action is legal: the game breaks its contract
        return False
    if frame.is_deep or frame.result == _LOSS or depth + 2 >= stack.frames.shape[0]:
        return False
    # No action ends the game with a win, and not all end it with a loss: search the replies.
    frame.is_deep = True
    frame.action = -1
    _begin_worst(frame)
    return _step(stack, depth)


@compiled
def _begin_worst(frame):
    frame.result = _LOSS
    frame.points = -1.0


@compiled
def _is_cut(stack, depth):
    """Whether a frame cannot improve the result of the one above, whatever its other actions lead to."""
    frame = stack.frames[depth]
    # The first look at a frame whose replies are searched later calls unknown what may prove a loss.
    has_bound = frame.is_deep or depth + 2 >= stack.frames.shape[0]
    if depth == 0 or not has_bound:
        return False
    above = stack.frames[depth - 1]
    return frame.mover != above.mover and -frame.result <= above.result


@compiled
def _step(stack, depth):
    frame = stack.frames[depth]
    for action in range(frame.action + 1, stack.legal.shape[1]):
        if stack.legal[depth, action]:
            frame.action = action
            return True
    return False


@compiled
def _take_result(stack, depth):
    """Update the frame with the result that the next frame found for its current action."""
    frame, found = stack.frames[depth], stack.frames[depth + 1]
    sign = 1 if found.mover == frame.mover else -1
    result, found_points = sign * found.result, sign * found.points
    if result > frame.result or (result == frame.result and found_points > frame.points):
        frame.result = result
        frame.points = found_points
