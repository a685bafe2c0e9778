"""The AlphaZero actor: plays many episodes in lockstep, evaluates their leaves in batches, returns finished episodes.

Runs in an actor process (ddpzero/actors). With an exchange, another process evaluates; it then imports no torch.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ddpzero.algorithms.alphazero.archive import new_archive
from ddpzero.algorithms.alphazero.board_games import BoardGames
from ddpzero.algorithms.alphazero.curriculum import STAGE, Curriculum, CurriculumSettings, Part
from ddpzero.algorithms.alphazero.lockstep import LockstepGames
from ddpzero.algorithms.alphazero.requests import NUM_GROUPS, RequestLanes, group_sizes
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.simulations import SIMULATIONS, Simulations
from ddpzero.evaluators.base import WeightedEvaluator
from ddpzero.evaluators.lanes import layout_for
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings
from ddpzero.replay import Episode
from ddpzero.search.cache import new_cache
from ddpzero.search.settings import SearchSettings
from ddpzero.system.seeds import derive_seed

if TYPE_CHECKING:
    from ddpzero.actors.exchange import Exchange
    from ddpzero.networks.precision import Precision

# Duration of one call of `play`; between calls the process reads messages from its rank.
_SLICE_SECONDS = 0.1
_NO_LIMIT = -1


class AlphaZeroActor:
    """Plays episodes; see actors/spec.py for the contract of its methods.

    The first episodes begin at plies all over the game. Otherwise those of a game that always lasts equally long would
    all end at the same time, and learner and actors would wait for each other in turns. Not in rounds.

    At a new stage of the curriculum, running episodes are finished; each that ends is replaced by one of the new stage,
    so that all slots stay in use.
    """

    def __init__(
        self,
        curriculum: Curriculum,
        make_games: Callable[[Part], BoardGames],
        num_games: int,
        seed: int,
    ):
        self._curriculum = curriculum
        self._make_games = make_games
        self._num_games = num_games
        self._seed = seed
        self._stage = -1
        # The boards of the current stage, each with its share of the episodes.
        self._shares: list[tuple[BoardGames, float]] = []
        # Boards of earlier stages that still have running episodes.
        self._ending: list[BoardGames] = []
        self._num_games_to_start = _NO_LIMIT
        # The next episodes that begin at any ply.
        self._num_to_begin_at_any_ply = num_games
        self._counts: dict[str, float] = {}

    def receive(self, arrays: Mapping[str, np.ndarray], weights_version: int) -> None:
        """Play with new weights from now on, and start episodes of the curriculum stage that they name.

        Searches that begin from now on make the simulations that the weights name; running ones are not disturbed.
        """
        stage = int(arrays[STAGE])
        if stage != self._stage:
            self._enter(stage)
        # Episodes of earlier stages keep their numbers.
        for index, (games, _) in enumerate(self._shares):
            games.set_num_simulations(int(arrays[SIMULATIONS][index]))
        for games in self._all_games():
            games.receive(arrays, weights_version)

    def play(self) -> list[Episode]:
        """Advance all episodes for about 0.1 seconds; return those that ended."""
        if self.round_done:
            return []
        self._start_games()
        episodes: list[Episode] = []
        started = time.perf_counter()
        while time.perf_counter() - started < _SLICE_SECONDS and not self.round_done:
            for games in self._all_games():
                for group in games.groups:
                    episodes += self._advance(games, group)
        self._count("seconds", time.perf_counter() - started)
        return episodes

    def start_round(self, num_episodes: int, round_seed: int) -> None:
        """Drop all episodes and play exactly num_episodes new ones, determined by the seed and the weights alone."""
        self._ending = []
        for index, (games, _) in enumerate(self._shares):
            games.drop_games(derive_seed(round_seed, index))
        self._num_games_to_start = num_episodes
        self._num_to_begin_at_any_ply = 0
        self._start_games()

    @property
    def round_done(self) -> bool:
        """Whether no episode is running and none is left to start; true only at the end of a round."""
        return self._num_games_to_start == 0 and all(
            games.num_running == 0 for games in self._all_games()
        )

    def take_metrics(self) -> dict[str, float]:
        """Return counts and seconds since the last call."""
        taken: Counter[str] = Counter()
        for games in self._all_games():
            taken.update(games.take_counts())
        metrics = {**self._counts, **{name: float(count) for name, count in taken.items()}}
        self._counts = {}
        return metrics

    def _enter(self, stage: int) -> None:
        """Switch to a stage of the curriculum: new episodes are of this stage, running ones continue."""
        self._ending = [games for games in self._all_games() if games.num_running > 0]
        self._stage = stage
        self._shares = []
        for index, part in enumerate(self._curriculum.stages[stage]):
            games = self._make_games(part)
            games.drop_games(derive_seed(self._seed, stage, index))
            self._shares.append((games, part.share))

    def _all_games(self) -> list[BoardGames]:
        return [games for games, _ in self._shares] + self._ending

    def _advance(self, games: BoardGames, group: LockstepGames) -> list[Episode]:
        with _Timer(self, "forward"):
            games.collect(group)
        episodes = games.take_finished(group)
        if episodes:
            self._start_games()
            self._ending = [games for games in self._ending if games.num_running > 0]
        self._count("simulations", games.propose(group))
        self._count("evaluations", group.num_leaves)
        if group.num_leaves > 0:
            with _Timer(self, "forward"):
                games.submit(group)
        return episodes

    def _start_games(self) -> None:
        """Fill free slots with episodes of the current stage, each on the board that is furthest behind its share."""
        num_free = self._num_games - sum(games.num_running for games in self._all_games())
        if self._num_games_to_start >= 0:
            num_free = min(num_free, self._num_games_to_start)
            self._num_games_to_start -= num_free
        for _ in range(num_free):
            num_started = 1 + sum(games.num_started for games, _ in self._shares)
            behind = [share * num_started - games.num_started for games, share in self._shares]
            self._shares[int(np.argmax(behind))][0].start_game(self._num_to_begin_at_any_ply > 0)
            self._num_to_begin_at_any_ply = max(0, self._num_to_begin_at_any_ply - 1)

    def _count(self, name: str, amount: float) -> None:
        self._counts[name] = self._counts.get(name, 0.0) + amount


class _Timer:
    """Adds wall seconds and this process's CPU seconds to an actor's metrics."""

    def __init__(self, actor: AlphaZeroActor, name: str):
        self._actor = actor
        self._name = name

    def __enter__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def __exit__(self, *_: object) -> None:
        self._actor._count(f"seconds_{self._name}", time.perf_counter() - self._wall)
        self._actor._count(f"cpu_seconds_{self._name}", time.process_time() - self._cpu)


def make_actor(
    *,
    game: Mapping[str, Any],
    network: NetworkSettings,
    search: SearchSettings,
    settings: AlphaZeroSettings,
    loss: LossSettings,
    curriculum: CurriculumSettings,
    num_games: int,
    device: str,
    precision: Precision,
    compile: bool,
    cuda_graphs: bool,
    cache_megabytes: float,
    rank: int,
    actor_index: int,
    seed: int,
    max_effort: float = 1.0,
    exchange: Exchange | None = None,
) -> AlphaZeroActor:
    """Make an actor in its process. game: arguments of `load_game`. rank and actor_index are part of `seed`.

    exchange: with the rank's evaluator process, which evaluates instead of this one.
    """
    course = Curriculum(curriculum, load_game(**game), search.num_simulations)
    overlaps = device != "cpu" or exchange is not None
    sizes = group_sizes(num_games, NUM_GROUPS if overlaps else 1)
    max_batch = max(sizes) * search.leaves_per_round
    lanes = None if exchange is None else RequestLanes(exchange, actor_index, len(sizes))

    simulations = Simulations(search.num_simulations, settings.final_num_simulations, max_effort)

    def make_games(part: Part) -> BoardGames:
        embedding = course.embeddings[part.board]
        board = embedding.board
        auxiliary = loss.auxiliary(board)
        part_search = replace(search, num_simulations=simulations.most(part.num_simulations))
        cache = new_cache(
            board,
            cache_megabytes / course.most_parts,
            settings.cache_max_age,
            settings.cache_uses_views,
        )

        layout = layout_for(board, max_batch)
        remote = None if lanes is None else lanes.evaluator_of(part, layout)

        def make_evaluator(size: NetworkSettings) -> WeightedEvaluator:
            if remote is not None:
                return remote
            from ddpzero.evaluators.network import NetworkEvaluator  # imports torch
            from ddpzero.networks import make_network

            return NetworkEvaluator(
                make_network(board, size, auxiliary),
                board,
                max_batch=max_batch,
                num_slots=len(sizes),
                device=device,
                precision=precision,
                compile=compile,
                cuda_graphs=cuda_graphs,
                points_scale=search.points_scale(board),
                random_symmetry=settings.random_symmetry,
            )

        groups = [
            LockstepGames(board, part_search, settings, auxiliary, cache, slot, size)
            for slot, size in enumerate(sizes)
        ]
        index = part.board if course.has_padded_boards else None
        archive = new_archive(settings)
        return BoardGames(groups, make_evaluator, network, cache, embedding, index, archive)

    return AlphaZeroActor(course, make_games, num_games, seed)
