"""Searches one position for as long as it is asked, and says at any time what it has found: for play and analysis.

PUCT without noise, whatever search trained the network: its visits can go on from any number, while sequential halving
must know the number of simulations beforehand. Several leaves of the tree are evaluated together, few at first: in a
small tree they would be of moves that are not worth it. Beside them it is evaluated what they may lead to, see
guesses.py. After a move the tree below it is kept.

Moves can be banned: then it searches as if they were not legal, and proves no values.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from ddpzero.evaluators.answers import unusable_answers
from ddpzero.evaluators.base import Evaluator
from ddpzero.games import Game
from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.players import MoveThought, Thoughts
from ddpzero.games.core.promises import require_no_fault
from ddpzero.search import points
from ddpzero.search.batch import SearchBatch
from ddpzero.search.cache import new_cache
from ddpzero.search.config import config_size_bytes
from ddpzero.search.draw_share import root_draw_shares
from ddpzero.search.endgame import forget_proofs
from ddpzero.search.forest import (
    EVALUATED,
    FULL,
    PENDING,
    ROOT,
    SOLVED,
    TERMINAL,
    UNVISITED,
    forest_size_bytes,
)
from ddpzero.search.guesses import add_guesses, new_room, remember_guesses
from ddpzero.search.rounds import register_leaf, start_searches
from ddpzero.search.settings import SearchSettings
from ddpzero.search.solver import is_lost
from ddpzero.search.stacks import may_prove, positions_met
from ddpzero.search.tree import (
    LEAF_FOUND,
    choose_action,
    find_leaf,
    play_action,
    policy_target,
    root_result,
    root_score,
)

# Leaves of the tree in one batch: one for so many simulations before it, and at most MOST_LEAVES.
MOST_LEAVES = 32
_SIMULATIONS_PER_LEAF = 4
# Of a leaf under way: hardly more than a draw. A whole loss, as in self-play with its small batches, costs 90 Elo with
# batches of this size; with none, the next descent meets the same leaf too often.
_VIRTUAL_LOSS = 0.1
_MOST_SIMULATIONS_OF_CALL = 256
# By proofs, in one call. More may take longer than a move may, and only between calls is the clock looked at.
_MOST_POSITIONS_OF_CALL = 50_000
_LONGEST_LINE = 24
# Of evaluations of positions that are met again after a move.
_CACHE_MEGABYTES = 8.0


def thinking_settings(settings: SearchSettings, max_simulations: int) -> SearchSettings:
    """Return the settings of `Thinking` for a network that was trained with these."""
    return replace(
        settings,
        algorithm="puct",
        num_simulations=max_simulations,
        leaves_per_round=MOST_LEAVES,
        virtual_loss=_VIRTUAL_LOSS,
        reuse_subtree=True,
        dirichlet_fraction=0.0,
        temperature=0.0,
        final_temperature=0.0,
    )


def thinking_size_bytes(game: Game, settings: SearchSettings, max_simulations: int) -> int:
    """Return the memory of a `Thinking` whose tree is full."""
    settings = thinking_settings(settings, max_simulations)
    of_tree = forest_size_bytes(game, settings, 1, _max_nodes(max_simulations))
    return of_tree + config_size_bytes(settings)


def _max_nodes(max_simulations: int) -> int:
    """Return the nodes of a kept tree and of the simulations after it."""
    return 2 * (max_simulations + 1)


class Thinking:
    """The search of one position. Call `begin`, then `think` as often as wanted, and `thoughts` at any time.

    settings: of the search that trained the network. max_simulations: of one position, for which memory is taken as it
    is needed. most_together: leaves and guesses of one batch.
    """

    def __init__(
        self,
        game: Game,
        settings: SearchSettings,
        max_simulations: int,
        evaluator: Evaluator,
        most_together: int = MOST_LEAVES,
    ) -> None:
        self.game = game
        self.max_simulations = max_simulations
        self._settings = thinking_settings(settings, max_simulations)
        self._max_nodes = _max_nodes(max_simulations)
        cache = new_cache(game, _CACHE_MEGABYTES)
        self._free_batch = SearchBatch(game, self._settings, 1, self._max_nodes, cache)
        self._banning_batch: SearchBatch | None = None
        self._use(self._free_batch)
        self._bans: np.ndarray | None = None
        # Nodes in which moves have been banned.
        self._num_banned = 0
        self._evaluator = evaluator
        num_rows = len(evaluator.observations(0))
        self._room = new_room(game, min(MOST_LEAVES, num_rows), min(most_together, num_rows))
        self._num_begun = 0
        self._means = np.empty(self._max_nodes, np.float32)

    def _use(self, batch: SearchBatch) -> None:
        self._batch = batch
        self._forest = batch.forest

    @property
    def position(self) -> np.ndarray:
        """The position `[P]` that it thinks about."""
        return self._forest.positions[0, ROOT].copy()

    @property
    def visits(self) -> int:
        """The simulations in the tree, also those that were made before a move led to this position."""
        root = self._forest.nodes[0, ROOT]
        return 0 if root["state"] == PENDING else int(root["visit_sum"])

    @property
    def lead(self) -> int:
        """The simulations that the most visited action has more than any other; all of them if there is no other.

        Actions that are proven to lose do not count: they had visits before, and get no more.
        """
        if self._forest.nodes[0, ROOT]["state"] == PENDING:
            return 0
        return int(lead_of(self._forest, self._batch.config))

    @property
    def is_proven(self) -> bool:
        """Whether the value of the position is proven, so that further simulations would find out nothing."""
        return bool(self._forest.nodes[0, ROOT]["state"] == SOLVED)

    def begin(self, position: np.ndarray, bans: np.ndarray | None = None) -> None:
        """Think about a position `[P]` from now on. Raises ValueError unless it is one that is not terminal.

        bans: `[D, 2, A]` bool, actions that each player may not choose in the first D plies; where no other action is
        legal, they are all allowed.
        """
        self.game.require_running(position[None])
        self._bans, self._num_banned = bans, 0
        self._use(self._free_batch if bans is None else self._batch_with_bans())
        self._forget_proofs()
        # As if the weights were new: else what it finds would depend on positions that it thought about before.
        self._num_begun += 1
        start_searches(self.game.rules, self._forest, position[None])

    def _batch_with_bans(self) -> SearchBatch:
        if self._banning_batch is None:
            # Proofs would be of all moves; and a node whose evaluation is known would be searched before it has bans.
            settings = replace(self._settings, solve=False, endgame_plies=0, forced_win_plies=0)
            cache = new_cache(self.game, 0.0)
            self._banning_batch = SearchBatch(self.game, settings, 1, self._max_nodes, cache)
        return self._banning_batch

    def advance(self, action: int) -> None:
        """Think about the position after a legal action from now on, and keep what is known of it.

        Nothing is banned there. Raises ValueError unless it is one that is not terminal.
        """
        after = self.game.apply_action(self._forest.positions[0, ROOT], action)
        self.game.require_running(after[None])
        if self._bans is not None:
            self.begin(after)
        else:
            advance(self.game.rules, self._forest, self._batch.config, action)

    def think(self, num_simulations: int, until: float = math.inf) -> bool:
        """Make so many simulations more; return whether further ones could find out something.

        At least the position itself is evaluated. until: on time.perf_counter; no batch begins after it.
        Raises EvaluationError for unusable answers of the network, and GamePromiseError if the game broke its contract.
        """
        wanted = min(self.visits + num_simulations, self.max_simulations)
        while self._round(wanted) and time.perf_counter() < until:
            pass
        require_no_fault(self.game, int(self._forest.trees[0]["fault"]))
        return not self.is_proven and self.visits < self.max_simulations

    def _forget_proofs(self) -> None:
        """Forget the proofs of other positions, if there are any: it takes milliseconds."""
        stack = self._forest.endgame
        if stack is not None and stack.counts[0] > 0:
            forget_proofs(stack)
            stack.counts[:] = 0

    def _round(self, wanted: int) -> bool:
        """Evaluate leaves on the way to `wanted` simulations in the tree; return whether there may be others."""
        observations = self._evaluator.observations(0)
        # A call that meets only positions that are known already must end as well.
        before = self.visits
        some = min(wanted, before + _MOST_SIMULATIONS_OF_CALL)
        num_guesses = self._batch.propose_with(
            propose_of_one, self._num_begun, some, self._room, observations
        )
        num_leaves = self._batch.num_leaves
        if num_leaves == 0:
            return before < self.visits < wanted and not self.is_proven
        self._evaluator.submit(0, num_leaves + num_guesses)
        logits, outcomes = self._evaluator.collect(0)
        if not self._batch.absorb(observations, logits, outcomes):
            raise unusable_answers(logits, outcomes)
        if num_guesses > 0:
            cache, version = self._batch.cache, self._num_begun
            remember_guesses(cache, version, num_leaves, observations, logits, outcomes)
        if self._bans is not None:
            num_nodes = int(self._forest.trees[0]["num_nodes"])
            ban_actions(self._forest, self._num_banned, num_nodes, self._bans)
            self._num_banned = num_nodes
        return True

    def thoughts(self) -> Thoughts:
        """Return what the search has found so far. Call `think` before."""
        game, forest, config = self.game, self._forest, self._batch.config
        moves = np.zeros(game.num_actions, MOVE)
        policy = np.empty((1, game.num_actions), np.float32)
        chosen, value, score = read_moves(forest, config, moves, policy[0])
        draw_share = np.empty(1, np.float32)
        root_draw_shares(forest, config, policy, self._means, draw_share)
        draw = min(float(draw_share[0]), 1.0 - abs(value))
        # Not below 0 because of rounding.
        win = max(0.0, (1.0 - draw + value) / 2.0)
        legal = np.flatnonzero(moves["prior"] > 0)
        is_other = legal != chosen
        if self.is_proven and value <= -1.0:
            # All moves lose, often after one visit each: the network still knows which ones an opponent may overlook.
            is_other[:] = False
        rank = np.lexsort((-moves["prior"][legal], -moves["visits"][legal], is_other))
        return Thoughts(
            moves=tuple(self._thought(int(action), moves[action]) for action in legal[rank]),
            visits=self.visits,
            value=value,
            wdl=(win, draw, max(0.0, 1.0 - draw - win)),
            policy=policy[0],
            score=score if config.score_weight > 0 else None,
            is_proven=self.is_proven,
        )

    def _thought(self, action: int, move: np.void) -> MoveThought:
        line, visits = np.empty((2, _LONGEST_LINE), np.int64)
        length = read_line(self._forest, action, line, visits)
        return MoveThought(
            action=action,
            visits=int(move["visits"]),
            value=float(move["value"]),
            prior=float(move["prior"]),
            score=float(move["score"]) if self._batch.config.score_weight > 0 else None,
            line=tuple(line[:length].tolist()),
            is_proven=bool(move["is_proven"]),
            line_visits=tuple(visits[:length].tolist()),
        )


# What is known of an action of the root, for its mover.
MOVE = np.dtype(
    [
        ("visits", np.int32),
        ("value", np.float32),  # the mean result in [-1, 1]; that of the root without visits
        ("score", np.float32),  # the mean score margin
        ("prior", np.float32),  # 0: illegal
        ("is_proven", np.bool_),
    ]
)


@compiled(cache=True)
def propose_of_one(rules, forest, config, cache, weights_version, wanted, room, observations):
    """Write the observations of leaves of the first tree, then of guesses; return the numbers of both.

    0 leaves: the tree has `wanted` simulations, or its value is proven, or proofs have met enough positions.
    """
    num_leaves = 0
    most_met = _positions_met(forest) + _MOST_POSITIONS_OF_CALL
    while num_leaves < allowed_leaves(forest, num_leaves, room.most_leaves):
        num_started = _simulations_started(forest)
        num_left = max(wanted - num_started, 0)
        # Each simulation may prove something, which takes time.
        _allow(forest, min(num_left, 1) if _may_prove(forest) else num_left)
        status, node = find_leaf(rules, forest, config, cache, weights_version, 0)
        if status == LEAF_FOUND:
            num_leaves = register_leaf(forest, 0, node, observations, num_leaves)
        elif _simulations_started(forest) == num_started:
            break
        if node == ROOT or _positions_met(forest) >= most_met:
            break
    _allow(forest, max(wanted - _simulations_started(forest), 0))
    if num_leaves == 0 or _positions_met(forest) >= most_met:
        return num_leaves, 0
    num_guesses = add_guesses(
        rules, forest, config, cache, weights_version, room, observations, num_leaves
    )
    return num_leaves, num_guesses


@compiled
def _simulations_started(forest):
    root = forest.nodes[0, ROOT]
    return 0 if root.state == PENDING else np.int64(root.visit_sum)


@compiled
def _allow(forest, num_simulations):
    """Let the first tree begin so many simulations more: one that begins, and one that goes on."""
    tree = forest.trees[0]
    forest.budgets[FULL] = num_simulations
    tree.num_simulations = max(tree.num_started, 0) + num_simulations


@compiled
def _may_prove(forest):
    return may_prove(forest.endgame) or may_prove(forest.forced_wins)


@compiled
def _positions_met(forest):
    return positions_met(forest.endgame) + positions_met(forest.forced_wins)


@compiled
def allowed_leaves(forest, num_leaves, most_leaves):
    """Return how many leaves may be under evaluation together; num_leaves: those that are."""
    root = forest.nodes[0, ROOT]
    if root.state == PENDING:
        return 1
    num_finished = root.visit_sum - num_leaves
    return max(1, min(num_finished // _SIMULATIONS_PER_LEAF, most_leaves))


@compiled(cache=True)
def advance(rules, forest, config, action):
    """Play an action in the first tree and keep what is below it."""
    if forest.nodes[0, ROOT].state == PENDING:
        # Nobody has thought about this position: the edges are those of an earlier node.
        for other in range(forest.edges.shape[2]):
            forest.edges[0, ROOT, other].child = UNVISITED
    play_action(rules, forest, config, 0, action)


@compiled(cache=True)
def ban_actions(forest, first, end, bans):
    """Make actions illegal in the evaluated nodes from `first` on of the first tree. bans: see Thinking.begin."""
    for node in range(first, end):
        if forest.nodes[0, node].state != EVALUATED:
            continue
        depth, above = 0, node
        while above != ROOT:
            above = forest.nodes[0, above].parent
            depth += 1
        if depth >= bans.shape[0]:
            continue
        banned = bans[depth, forest.nodes[0, node].mover]
        edges = forest.edges[0, node]
        allowed = 0.0
        for action in range(edges.shape[0]):
            if not banned[action]:
                allowed += edges[action].prior
        if allowed <= 0.0:
            continue
        for action in range(edges.shape[0]):
            edges[action].prior = 0.0 if banned[action] else edges[action].prior / allowed


@compiled(cache=True)
def read_moves(forest, config, moves, policy):
    """Write what is known of the first root's actions, `moves` `[A]` MOVE, and the shares of visits, `policy` `[A]`.

    Returns the best action, the root's expected result and its score, all for the mover.
    """
    policy_target(forest, config, 0, policy)
    root = forest.nodes[0, ROOT]
    value = root_result(forest, config, 0)
    score = root_score(forest, config, 0)
    for action in range(moves.shape[0]):
        edge = forest.edges[0, ROOT, action]
        move = moves[action]
        move.prior = edge.prior
        move.visits = edge.visits
        move.value = value
        move.score = score
        move.is_proven = False
        if edge.prior > 0.0 and edge.child != UNVISITED and edge.visits > 0:
            child = forest.nodes[0, edge.child]
            move.is_proven = child.state >= TERMINAL
            mean = edge.value_sum / edge.visits
            if config.score_weight > 0.0:
                sign = 1.0 if child.mover == root.mover else -1.0
                found = child.points
                if not move.is_proven:
                    found = child.points_total / (1.0 + child.visit_sum)
                move.score = points.score_of(config, sign * found)
                mean = points.result_of(config, mean, sign * found)
            move.value = mean
    return choose_action(forest, config, 0, 0), value, score


@compiled(cache=True)
def lead_of(forest, config):
    """Return the visits that the first root's most visited action has more than the next one; see Thinking.lead."""
    first, second = np.int64(0), np.int64(-1)
    num_actions = 0
    for action in range(forest.edges.shape[2]):
        edge = forest.edges[0, ROOT, action]
        if edge.prior > 0.0 and not is_lost(forest, config, 0, ROOT, action):
            num_actions += 1
            visits = np.int64(edge.visits)
            if visits > first:
                first, second = visits, first
            elif visits > second:
                second = visits
    if num_actions < 2:
        return np.int64(forest.nodes[0, ROOT].visit_sum) + 1
    return first - max(second, np.int64(0))


@compiled(cache=True)
def read_line(forest, action, line, visits):
    """Write an action of the first root and the most visited moves after it, `line` `[n]`; return how many.

    visits: `[n]`, receives the simulations that went through each of them.
    """
    line[0] = action
    visits[0] = forest.edges[0, ROOT, action].visits
    length = 1
    node = forest.edges[0, ROOT, action].child
    while node != UNVISITED and length < line.shape[0]:
        if forest.nodes[0, node].state == PENDING or forest.nodes[0, node].state == TERMINAL:
            break
        best, most = UNVISITED, 0
        for other in range(forest.edges.shape[2]):
            edge = forest.edges[0, node, other]
            if edge.prior > 0.0 and edge.visits > most:
                best, most = other, edge.visits
        if best == UNVISITED:
            break
        line[length] = best
        visits[length] = most
        length += 1
        node = forest.edges[0, node, best].child
    return length
