"""Proves positions near the end of the game by exhaustive search, which replaces the evaluator's estimate.

Depth-first alpha-beta (Knuth and Moore, "An Analysis of Alpha-Beta Pruning", 1975) with a table of values that were
found before, in any tree and for any move, and with actions in the order of the cutoffs that they caused (the history
heuristic, Schaeffer, 1989). It gives up when a line is longer than search.endgame_plies, which in games that fill the
board the first line shows within a microsecond, and when it has met search.endgame_positions positions. Passes (actions
without a cell) do not count: whether a line of Othello has some says nothing about how long a search takes.
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

_NO_ACTION = -1
# Entries of the table, a power of two; 6 MB.
_TABLE_SIZE = 1 << 18
# With fewer plies left, searching a position costs less than looking it up.
_MIN_PLIES_IN_TABLE = 4
# What an entry says about its position's value.
_NOTHING, _EXACT, _AT_LEAST, _AT_MOST, _GIVEN_UP = 0, 1, 2, 3, 4
# When an action's cutoffs reach this, all are halved, so that later searches count more.
_MAX_CUTOFFS = 1 << 20
# Above the cutoffs of all actions: these come first.
_FROM_TABLE, _KILLER = 4 * _MAX_CUTOFFS, 2 * _MAX_CUTOFFS

_FRAME = np.dtype(
    [
        ("value", np.float32),  # best value found for the mover, who already has alpha
        ("points", np.float32),  # part of value
        ("alpha", np.float32),
        ("beta", np.float32),  # the opponent does not allow more
        ("mover", np.int8),
        ("is_known", np.bool_),  # by the rules or from the table
        ("num_actions", np.int32),
        ("num_tried", np.int32),
        ("plies_left", np.int32),  # that a line may still have
        ("action", np.int32),  # being searched
        ("best_action", np.int32),  # led to value, or is the table's
        ("killer", np.int32),  # the last action that reached beta at this depth
        ("key", np.uint64),  # of the position, unless it is too close to the end for the table
    ],
    align=True,
)
_ENTRY = np.dtype(
    [
        ("key", np.uint64),
        ("value", np.float32),  # for the mover
        ("points", np.float32),
        ("action", np.int32),  # led to value
        ("kind", np.int8),  # _NOTHING to _GIVEN_UP
    ],
    align=True,
)


class EndgameStack(NamedTuple):
    """The line being searched, for one position at a time, and what searches leave behind for the next ones.

    Letters: L longest line with passes + 1, P position_size, A actions, E entries.
    """

    frames: np.ndarray  # [L] _FRAME
    positions: np.ndarray  # [L, P]
    actions: np.ndarray  # [L, A] int32, the legal ones, those tried first
    legal: np.ndarray  # [A] bool, scratch
    table: np.ndarray  # [E] _ENTRY
    cutoffs: np.ndarray  # [2, A] int32, how much each player's actions have cut off
    multipliers: np.ndarray  # [P] uint64, random odd numbers, for keys
    plies: np.ndarray  # [A] int32, 1; 0 for passes
    longest: np.ndarray  # [1] int32, endgame_plies
    counts: np.ndarray  # [3] int64: searches, proofs, positions met


def new_endgame_stack(game: Game, endgame_plies: int) -> EndgameStack | None:
    """Allocate the stack, or return None for 0 plies: then the code for exhaustive search is not even compiled."""
    if endgame_plies == 0:
        return None
    stack = new_stack(EndgameStack, _layout(game, endgame_plies))
    size = game.spec.position_size
    random = np.random.default_rng(0).integers(2**64, size=size, dtype=np.uint64)
    stack.multipliers[:] = random | np.uint64(1)
    stack.plies[:] = ~_passes(game)
    stack.longest[:] = min(endgame_plies, game.spec.max_plies)
    return stack


def endgame_size_bytes(game: Game, endgame_plies: int) -> int:
    """Memory of the stack that new_endgame_stack allocates."""
    return layout_size_bytes(_layout(game, endgame_plies)) if endgame_plies > 0 else 0


def forget_proofs(stack: EndgameStack | None) -> None:
    """Forget what earlier searches left behind: it may decide whether a later one gives up."""
    if stack is not None:
        stack.table.fill(0)
        stack.cutoffs.fill(0)


def _layout(game: Game, endgame_plies: int) -> Layout:
    # At most a pass before each action, and two at the end. No line is longer than the game.
    num_plies = 2 * endgame_plies + 2 if _passes(game).any() else endgame_plies
    length = min(num_plies, game.spec.max_plies) + 1
    size, num_actions = game.spec.position_size, game.num_actions
    return {
        "frames": ((length,), _FRAME),
        "positions": ((length, size), game.spec.position_dtype),
        "actions": ((length, num_actions), np.int32),
        "legal": ((num_actions,), np.bool_),
        "table": ((_TABLE_SIZE,), _ENTRY),
        "cutoffs": ((2, num_actions), np.int32),
        "multipliers": ((size,), np.uint64),
        "plies": ((num_actions,), np.int32),
        "longest": ((1,), np.int32),
        "counts": ((3,), np.int64),
    }


def _passes(game: Game) -> np.ndarray:
    """Return which actions `[A]` are passes."""
    cells = game.spec.action_cells
    return np.zeros(game.num_actions, np.bool_) if cells is None else cells < 0


@compiled
def _prove(rules, forest, config, slot, node):
    is_proven = _solve(rules, config, forest.endgame, forest.positions[slot, node])
    # A game that breaks its contract gives values outside [-1, 1]; the search itself reports the fault.
    is_proven = is_proven and abs(forest.endgame.frames[0].value) <= 1.0
    if is_proven:
        forest.nodes[slot, node].value = forest.endgame.frames[0].value
        forest.nodes[slot, node].points = forest.endgame.frames[0].points
    return is_proven


# prove_endgame(rules, forest, config, slot, node): whether the node was close enough to the end of the game to be
# proven; then its value and points are exact.
prove_endgame = choose_by_stack("prove_endgame", "endgame", EndgameStack, _prove)


@compiled_apart
def _solve(rules, config, stack, position):
    """Return whether `position` was close enough to the end to be proven; then frame 0 has its value and points."""
    frames = stack.frames
    for depth in range(frames.shape[0]):
        frames[depth].killer = _NO_ACTION
    contract.copy_position(rules, position, stack.positions[0])
    frames[0].alpha = -1.0
    frames[0].beta = 1.0
    frames[0].plies_left = stack.longest[0]
    depth = 0
    num_positions = 1
    is_open = False
    while True:
        # The only call, so that the rules are compiled once.
        if not is_open:
            _open_frame(rules, config, stack, depth)
            is_open = True
            if depth == 0 and _is_given_up(stack):
                return False
        action = _next_action(stack, depth)
        if action == _NO_ACTION:
            _remember(stack, depth)
            if depth == 0:
                break
            depth -= 1
            _take_value(stack, depth)
        elif depth + 1 == frames.shape[0] or frames[depth].plies_left < stack.plies[action]:
            return False
        elif num_positions == config.endgame_positions:
            _give_up(stack)
            break
        else:
            _play(rules, stack, depth, action)
            num_positions += 1
            depth += 1
            is_open = False
    is_proven = action == _NO_ACTION
    stack.counts[0] += 1
    stack.counts[1] += is_proven
    stack.counts[2] += num_positions
    return is_proven


@compiled
def _open_frame(rules, config, stack, depth):
    """Start searching stack.positions[depth]; a position whose value the rules or the table tell is known at once."""
    frame = stack.frames[depth]
    position = stack.positions[depth]
    frame.mover = contract.current_player(rules, position)
    frame.best_action = _NO_ACTION
    frame.is_known = contract.is_terminal(rules, position)
    if frame.is_known:
        frame.value = contract.player_return(rules, position, frame.mover)
        points.add_points(rules, config, position, frame)
        return
    frame.value = -np.inf
    if _belongs_in_table(stack, depth):
        frame.key = _key(stack.multipliers, position)
        _look_up(stack, depth)
        if frame.is_known:
            return
    contract.legal_actions(rules, position, stack.legal)
    frame.num_tried = 0
    frame.num_actions = 0
    for action in range(stack.legal.shape[0]):
        if stack.legal[action]:
            stack.actions[depth, frame.num_actions] = action
            frame.num_actions += 1


@compiled
def _next_action(stack, depth):
    """Return the next action to try; _NO_ACTION if all were tried or the opponent would not allow the value."""
    frame = stack.frames[depth]
    if frame.is_known or frame.value >= frame.beta or frame.num_tried == frame.num_actions:
        return _NO_ACTION
    actions = stack.actions[depth]
    best, most = frame.num_tried, -1
    for index in range(frame.num_tried, frame.num_actions):
        promise = _promise(stack, frame, actions[index])
        if promise > most:
            best, most = index, promise
    action = actions[best]
    actions[best] = actions[frame.num_tried]
    actions[frame.num_tried] = action
    frame.num_tried += 1
    return action


@compiled
def _promise(stack, frame, action):
    """Return a number that is higher for actions that should be tried earlier."""
    if action == frame.best_action:
        return _FROM_TABLE
    if action == frame.killer:
        return _KILLER
    return stack.cutoffs[frame.mover, action]


@compiled
def _play(rules, stack, depth, action):
    """Push the position after an action, with its alpha-beta window, onto the stack."""
    frame = stack.frames[depth]
    frame.action = action
    contract.copy_position(rules, stack.positions[depth], stack.positions[depth + 1])
    contract.apply_action(rules, stack.positions[depth + 1], action)
    alpha, beta = max(frame.alpha, frame.value), frame.beta
    if contract.current_player(rules, stack.positions[depth + 1]) != frame.mover:
        alpha, beta = -beta, -alpha
    stack.frames[depth + 1].plies_left = frame.plies_left - stack.plies[action]
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
        frame.best_action = frame.action
        if frame.value >= frame.beta:
            frame.killer = frame.action
            _count_cutoff(stack, depth)


@compiled
def _count_cutoff(stack, depth):
    """Count the frame's action as one that cuts off; far from the end it counts for more."""
    frame = stack.frames[depth]
    cutoffs = stack.cutoffs
    plies = frame.plies_left + 1
    cutoffs[frame.mover, frame.action] += plies * plies
    if cutoffs[frame.mover, frame.action] >= _MAX_CUTOFFS:
        for action in range(cutoffs.shape[1]):
            cutoffs[0, action] //= 2
            cutoffs[1, action] //= 2


# ------------------------------------------------------------------------------- the table


@compiled
def _belongs_in_table(stack, depth):
    return stack.frames[depth].plies_left >= _MIN_PLIES_IN_TABLE


@compiled
def _key(multipliers, position):
    """Return a hash of a position's row. Two rows share one with a probability of 2 ** -63."""
    key = np.uint64(0)
    for index in range(position.shape[0]):
        key += multipliers[index] * np.uint64(position[index])
    # One-to-one, so that every bit of the sum reaches the lowest ones, which choose the entry.
    key ^= key >> np.uint64(32)
    key *= np.uint64(0xD6E8FEB86659FD93)
    return key ^ (key >> np.uint64(32))


@compiled
def _entry_of(stack, depth):
    return stack.table[stack.frames[depth].key & np.uint64(stack.table.shape[0] - 1)]


@compiled
def _look_up(stack, depth):
    """Give the frame the table's value if that decides its window, else the action that was best before."""
    frame, entry = stack.frames[depth], _entry_of(stack, depth)
    if entry.kind == _NOTHING or entry.kind == _GIVEN_UP or entry.key != frame.key:
        return
    frame.best_action = entry.action
    frame.is_known = (
        entry.kind == _EXACT
        or (entry.kind == _AT_LEAST and entry.value >= frame.beta)
        or (entry.kind == _AT_MOST and entry.value <= frame.alpha)
    )
    if frame.is_known:
        frame.value = entry.value
        frame.points = entry.points


@compiled
def _remember(stack, depth):
    """Enter the value of a position whose search has ended."""
    frame = stack.frames[depth]
    if frame.is_known or not _belongs_in_table(stack, depth):
        return
    entry = _entry_of(stack, depth)
    entry.key = frame.key
    entry.value = frame.value
    entry.points = frame.points
    entry.action = frame.best_action
    entry.kind = _EXACT
    if frame.value >= frame.beta:
        entry.kind = _AT_LEAST
    elif frame.value <= frame.alpha:
        entry.kind = _AT_MOST


@compiled
def _give_up(stack):
    """Enter that the search of the first position was given up, so that no later one repeats it."""
    if _belongs_in_table(stack, 0):
        entry = _entry_of(stack, 0)
        entry.key = stack.frames[0].key
        entry.kind = _GIVEN_UP


@compiled
def _is_given_up(stack):
    if stack.frames[0].is_known or not _belongs_in_table(stack, 0):
        return False
    entry = _entry_of(stack, 0)
    return entry.kind == _GIVEN_UP and entry.key == stack.frames[0].key
