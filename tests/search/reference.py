"""A slow, obvious tree search to compare the compiled one with; written from the papers, sharing no code with it.

PUCT: Silver et al., "A general reinforcement learning algorithm ...", Science 2018, with KataGo's first-play urgency.
Gumbel: Danihelka et al., "Policy improvement by planning with Gumbel", ICLR 2022.
Proven values: Winands et al., "Monte-Carlo Tree Search Solver", 2008.

All randomness is an input: the root's noise is handed in. Values are kept as player 0 sees them, and turned at the
moment of use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ddpzero.games import Game
from ddpzero.search import SearchSettings

# Of the bytes of an observation: logits of all actions, and the mover's chances of a win, a draw, a loss; then, where
# settings.score_weight is above 0, its expected points.
Evaluate = Callable[[bytes], tuple[Sequence[float], Sequence[float]]]


class Edge:
    """An action of a node."""

    def __init__(self, action: int, prior: float):
        self.action = action
        self.prior = prior
        self.visits = 0
        self.value_sum = 0.0  # of what was found at each visit, as player 0 sees it
        self.child: Node | None = None

    @property
    def known(self) -> float | None:
        """The proven value, as player 0 sees it."""
        return self.child.known if self.child is not None else None

    @property
    def total(self) -> float:
        """The sum of values over all visits; a proven value counts for every one."""
        return self.value_sum if self.known is None else self.known * self.visits


class Node:
    """A position of the tree. It has edges once it is evaluated."""

    def __init__(self, game: Game, position: np.ndarray, birth: int):
        self.position = position
        self.birth = birth  # nodes are numbered as they are made
        self.mover = game.current_player(position)
        self.is_terminal = game.is_terminal(position)
        self.is_pending = False  # under evaluation
        self.value = float(game.returns(position)[0]) if self.is_terminal else math.nan
        self.points = 0.0  # the share of the score in it, as player 0 sees it
        self.points_seen: list[float] = []  # at every visit, the evaluation first
        self.known: float | None = None  # the proven value, as player 0 sees it
        self.edges: list[Edge] = []

    @property
    def is_evaluated(self) -> bool:
        return bool(self.edges)

    @property
    def visits(self) -> int:
        return sum(edge.visits for edge in self.edges)

    def for_mover(self, value_of_player_0: float) -> float:
        return value_of_player_0 if self.mover == 0 else -value_of_player_0

    def q(self, edge: Edge) -> float:
        return self.for_mover(edge.total / edge.visits)

    def is_lost(self, edge: Edge) -> bool:
        return edge.known is not None and self.for_mover(edge.known) == -1

    def mean_value(self) -> float:
        """The mover's mean over the evaluation and all visits."""
        total = self.value + sum(edge.total for edge in self.edges)
        return self.for_mover(total / (1 + self.visits))


class SequentialHalving:
    """Passes over the root's actions: all considered ones, then their better half, and so on."""

    def __init__(self, legal_actions: list[int], num_considered: int, num_simulations: int):
        self.passes: list[int] = []  # how many actions each pass visits
        size = num_considered
        while sum(self.passes) < num_simulations:
            num_phases = math.ceil(math.log2(num_considered)) or 1
            self.passes += [size] * max(1, num_simulations // (num_phases * size))
            size = max(2, size // 2) if num_considered > 1 else 1
        self.previous_pass = set(legal_actions)
        self.this_pass: set[int] = set()

    def candidates(self) -> set[int]:
        return self.previous_pass - self.this_pass

    def visit(self, action: int) -> None:
        self.this_pass.add(action)
        if len(self.this_pass) == self.passes[0]:
            del self.passes[0]
            self.previous_pass, self.this_pass = self.this_pass, set()


Path = list[tuple[Node, Edge]]


class ReferenceSearch:
    """The search of one game.

    narrowest_choice: the smallest difference between a chosen action's score and the next best that was ever met:
    where it is tiny, rounding decides, and another program may choose differently.
    """

    def __init__(
        self, game: Game, evaluate: Evaluate, settings: SearchSettings, position: np.ndarray
    ):
        self.game = game
        self.evaluate = evaluate
        self.settings = settings
        self.num_nodes = 0
        self.root = self.new_node(position)
        self.narrowest_choice = math.inf
        self.gumbels = [0.0] * game.num_actions

    def new_node(self, position: np.ndarray) -> Node:
        self.num_nodes += 1
        node = Node(self.game, position, birth=self.num_nodes)
        if node.is_terminal and self.settings.score_weight > 0:
            scale = self.settings.points_scale(self.game)
            node.points = math.tanh(self.game.score(position) / scale)
            node.value = self.mix(node.value, node.points)
        return node

    def mix(self, result: float, points: float) -> float:
        weight = self.settings.score_weight
        return (1 - weight) * result + weight * points

    # The search of one move

    def search(
        self, noisy_priors: Sequence[float] | None = None, gumbels: Sequence[float] | None = None
    ) -> None:
        """Spend the budget of a move. noisy_priors, gumbels: [A], of the root; None without noise."""
        if not self.root.is_evaluated:
            self.expand(self.root)
        if noisy_priors is not None:
            for edge in self.root.edges:
                edge.prior = noisy_priors[edge.action]
        if gumbels is not None:
            self.gumbels = list(gumbels)
        budget = self.settings.num_simulations
        legal_actions = [edge.action for edge in self.root.edges]
        num_considered = min(len(legal_actions), self.settings.max_considered_actions)
        self.halving = SequentialHalving(legal_actions, num_considered, budget)
        self.num_started = 0
        while self.num_started < budget and self.root.known is None:
            self.run_round()

    def run_round(self) -> None:
        """Collect up to leaves_per_round leaves, then evaluate them together."""
        settings = self.settings
        paths: list[tuple[Path, Node]] = []
        while (
            len(paths) < settings.leaves_per_round
            and self.num_started < settings.num_simulations
            and self.root.known is None
        ):
            path, leaf = self.descend()
            if leaf.is_pending:
                break
            self.num_started += 1
            self.halving.visit(path[0][1].action)
            if leaf.is_terminal or leaf.known is not None:
                self.back_up(path, leaf)
                continue
            leaf.is_pending = True
            if settings.leaves_per_round > 1:
                self.add_virtual_loss(path, 1)
            paths.append((path, leaf))
        for path, leaf in paths:
            leaf.is_pending = False
            self.expand(leaf)
            if settings.leaves_per_round > 1:
                self.add_virtual_loss(path, -1)
            self.back_up(path, leaf)

    def descend(self) -> tuple[Path, Node]:
        path: Path = []
        node = self.root
        while node.is_evaluated and node.known is None:
            edge = self.select(node)
            path.append((node, edge))
            if edge.child is None:
                edge.child = self.new_node(self.game.apply_action(node.position, edge.action))
                if edge.child.is_terminal and self.settings.solve:
                    edge.child.known = edge.child.value
                    self.find_known_values(self.root)
            node = edge.child
        return path, node

    def expand(self, node: Node) -> None:
        observation = self.game.packed_observation(node.position)
        logits, (win, _, loss, *points) = self.evaluate(observation.tobytes())
        legal_actions = [int(a) for a in np.flatnonzero(self.game.legal_actions(node.position))]
        largest = max(logits[action] for action in legal_actions)
        weights = {action: math.exp(logits[action] - largest) for action in legal_actions}
        for action, weight in weights.items():
            prior = np.float32(weight / sum(weights.values()))
            node.edges.append(Edge(action, float(prior)))
        node.value = node.for_mover(win - loss)
        if self.settings.score_weight > 0:
            node.points = node.for_mover(points[0])
            node.value = self.mix(node.value, node.points)
        node.points_seen = [node.points]

    def back_up(self, path: Path, leaf: Node) -> None:
        """Each edge counts the leaf's value, or that of the highest node below it whose value is proven."""
        value, points = leaf.value, leaf.points
        for node, edge in reversed(path):
            if edge.known is not None:
                value, points = edge.known, edge.child.points
            edge.visits += 1
            edge.value_sum += value
            node.points_seen.append(points)

    def find_known_values(self, node: Node) -> None:
        """A node's value is known where the best of its actions' values is, whatever the unknown ones are."""
        for edge in node.edges:
            if edge.child is not None and edge.known is None:
                self.find_known_values(edge.child)
        known = [node.for_mover(edge.known) for edge in node.edges if edge.known is not None]
        if node.known is None and known and (max(known) == 1 or len(known) == len(node.edges)):
            node.known = node.for_mover(max(known))
            best = [edge.child for edge in node.edges if edge.known == node.known]
            node.points = best[0].points

    def add_virtual_loss(self, path: Path, count: int) -> None:
        """A visit that the mover of each edge lost; count -1 takes it back."""
        for node, edge in path:
            edge.visits += count
            edge.value_sum -= count * node.for_mover(self.settings.virtual_loss)

    # Selection

    def select(self, node: Node) -> Edge:
        not_lost = [edge for edge in node.edges if not node.is_lost(edge)]
        if self.settings.algorithm == "puct":
            return self.best(not_lost, lambda edge: self.puct_score(node, edge))
        if node is self.root:
            candidates = self.halving.candidates()
            edges = [edge for edge in node.edges if edge.action in candidates]
            return self.best(edges, self.gumbel_score)
        improved = self.improved_policy(node)
        return self.best(
            not_lost, lambda edge: improved[edge.action] - edge.visits / (1 + node.visits)
        )

    def best(self, edges: list[Edge], score: Callable[[Edge], float]) -> Edge:
        scores = [score(edge) for edge in edges]
        ranked = sorted(scores, reverse=True)
        if len(ranked) > 1:
            self.narrowest_choice = min(self.narrowest_choice, ranked[0] - ranked[1])
        return edges[scores.index(ranked[0])]

    def puct_score(self, node: Node, edge: Edge) -> float:
        settings = self.settings
        num_visits = 1 + node.visits
        c_puct = settings.c_puct + math.log(
            (num_visits + settings.c_puct_base) / settings.c_puct_base
        )
        exploration = c_puct * edge.prior * math.sqrt(num_visits) / (1 + edge.visits)
        if edge.visits > 0:
            return node.q(edge) + exploration
        reduction = settings.first_play_reduction
        if node is self.root and settings.dirichlet_fraction > 0:
            reduction = 0.0
        visited_prior = sum(other.prior for other in node.edges if other.visits > 0)
        return node.mean_value() - reduction * math.sqrt(visited_prior) + exploration

    # Gumbel

    def mixed_value(self, node: Node) -> float:
        """v_mix of the paper's appendix D, without proven losses."""
        value = node.for_mover(node.value)
        visited = [edge for edge in node.edges if edge.visits > 0 and not node.is_lost(edge)]
        if not visited:
            return value
        mean_q = sum(e.prior * node.q(e) for e in visited) / sum(e.prior for e in visited)
        return (value + node.visits * mean_q) / (1 + node.visits)

    def completed_q(self, node: Node, edge: Edge) -> float:
        return node.q(edge) if edge.visits > 0 else self.mixed_value(node)

    def sigma_of_completed_q(self, node: Node, edge: Edge) -> float:
        max_visits = max(other.visits for other in node.edges)
        factor = (self.settings.max_visit_offset + max_visits) * self.settings.value_scale
        return factor * self.completed_q(node, edge)

    def gumbel_score(self, edge: Edge) -> float:
        sigma = self.sigma_of_completed_q(self.root, edge)
        return self.gumbels[edge.action] + math.log(edge.prior) + sigma

    def improved_policy(self, node: Node) -> list[float]:
        """softmax(log prior + sigma(completed q)); [A], 0 for illegal actions."""
        scores = {
            edge.action: math.log(edge.prior) + self.sigma_of_completed_q(node, edge)
            for edge in node.edges
        }
        largest = max(scores.values())
        weights = {action: math.exp(score - largest) for action, score in scores.items()}
        total = sum(weights.values())
        return [weights.get(action, 0.0) / total for action in range(self.game.num_actions)]

    # What came out

    def visits(self) -> list[int]:
        """[A]"""
        counts = [0] * self.game.num_actions
        for edge in self.root.edges:
            counts[edge.action] = edge.visits
        return counts

    def proven_best(self) -> list[Edge]:
        """The root's actions that are known to bring its known value."""
        return [edge for edge in self.root.edges if edge.known == self.root.known]

    def policy_target(self) -> list[float]:
        """[A]"""
        if self.root.known is not None:
            is_gumbel = self.settings.algorithm == "gumbel"
            target = [0.0] * self.game.num_actions
            for edge in self.proven_best():
                target[edge.action] = edge.prior if is_gumbel else edge.visits
            return [weight / sum(target) for weight in target]
        if self.settings.algorithm == "gumbel":
            return self.improved_policy(self.root)
        return [visits / self.root.visits for visits in self.visits()]

    def root_value(self) -> float:
        """PUCT: the mean of all simulations; Gumbel: what the improved policy expects of its completed q values."""
        if self.root.known is not None:
            return self.root.for_mover(self.root.known)
        if self.settings.algorithm == "puct":
            return self.root.mean_value()
        policy = self.improved_policy(self.root)
        return sum(
            policy[edge.action] * self.completed_q(self.root, edge) for edge in self.root.edges
        )

    def root_result(self) -> float:
        """The root's value without the share of points."""
        weight = self.settings.score_weight
        result = (self.root_value() - weight * self.root_points()) / (1 - weight)
        return min(max(result, -1.0), 1.0)

    def root_points(self) -> float:
        """The points in the root's value: PUCT's mean, or of Gumbel's improved policy; of no visit the root's mean."""
        root = self.root
        if root.known is not None:
            return root.for_mover(root.points)
        mean = sum(root.points_seen) / len(root.points_seen)
        if self.settings.algorithm == "puct":
            return root.for_mover(mean)
        policy = self.improved_policy(root)
        expected = 0.0
        for edge in root.edges:
            points = mean
            if edge.visits > 0:
                seen = edge.child.points_seen
                is_certain = edge.child.is_terminal or edge.child.known is not None
                points = edge.child.points if is_certain else sum(seen) / len(seen)
            expected += policy[edge.action] * points
        return root.for_mover(expected)

    def root_score(self) -> float:
        """The score that is worth these points."""
        points = min(max(self.root_points(), -math.tanh(4.0)), math.tanh(4.0))
        return self.settings.points_scale(self.game) * math.atanh(points)

    def action(self) -> int:
        """The move without temperature: the most visited; of equals PUCT takes the first, Gumbel the best score.

        Of a solved root: of the proven best actions the most visited (PUCT), or that of best prior and noise (Gumbel).
        """
        if self.root.known is not None:
            if self.settings.algorithm == "puct":
                return max(self.proven_best(), key=lambda edge: edge.visits).action
            return self.best(
                self.proven_best(), lambda edge: math.log(edge.prior) + self.gumbels[edge.action]
            ).action
        candidates = [edge for edge in self.root.edges if not self.root.is_lost(edge)]
        most = max(edge.visits for edge in candidates)
        edges = [edge for edge in candidates if edge.visits == most]
        if self.settings.algorithm == "puct":
            if most == 0:
                return max(edges, key=lambda edge: edge.prior).action
            return edges[0].action
        return self.best(edges, self.gumbel_score).action

    def play(self, action: int) -> None:
        """Make a move; with reuse_subtree the tree below it stays, at most its num_simulations + 1 oldest nodes."""
        child = next(edge.child for edge in self.root.edges if edge.action == action)
        is_searched = child is not None and child.is_evaluated and child.known is None
        if not self.settings.reuse_subtree or not is_searched:
            self.root = self.new_node(self.game.apply_action(self.root.position, action))
            return
        self.root = child
        nodes = sorted(self.subtree(child), key=lambda node: node.birth)
        kept = {node.birth for node in nodes[: self.settings.num_simulations + 1]}
        for node in nodes:
            for edge in node.edges:
                if edge.child is not None and edge.child.birth not in kept:
                    edge.value_sum = edge.total
                    edge.child = None

    def subtree(self, node: Node) -> list[Node]:
        nodes = [node]
        for edge in node.edges:
            if edge.child is not None:
                nodes += self.subtree(edge.child)
        return nodes
