"""Builds the parts that one rank trains with, in a fixed order, so that the seed determines the initial parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ddpzero import __version__
from ddpzero.actors import ActorPool, ActorSpec, WeightsChannel
from ddpzero.algorithms.base import CompleteAlgorithm, CompleteUpdater
from ddpzero.algorithms.defaults import can_evaluate
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.arena.arena import Arena, default_opponents
from ddpzero.arena.judgements import ModelJudge
from ddpzero.arena.opponents import names_of_opponents
from ddpzero.arena.pool import ModelPool
from ddpzero.arena.release import ReleaseRule
from ddpzero.arena.workers import Workers
from ddpzero.replay import ReplayBuffer, SampleBalance
from ddpzero.run.episode_store import EpisodeStore
from ddpzero.run.folder import LOGS_FOLDER
from ddpzero.run.progress import size_text
from ddpzero.run.ranks import Ranks
from ddpzero.run.shard import EPISODES_FOLDER
from ddpzero.settings import JudgeSettings, Settings
from ddpzero.system.cores import usable_cores
from ddpzero.system.errors import UserError, require
from ddpzero.system.metric_info import Metrics
from ddpzero.system.seeds import derive_seed
from ddpzero.training.actor_devices import choose_actor_device, evaluator_of_rank
from ddpzero.training.batches import BatchFeeder
from ddpzero.training.gate import Gate
from ddpzero.training.holdout import HoldoutEvaluation
from ddpzero.training.metrics import metrics_of_run
from ddpzero.training.preflight import num_actors_of
from ddpzero.training.state import RunState
from ddpzero.training.stored_source import StoredSamples, find_sources, load_stored

if TYPE_CHECKING:
    from ddpzero.training.collected_games import CollectedGames
    from ddpzero.training.pushed_models import PushedModels

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The parts that a rank trains with.

    balance: decides whether the learner may update and the actors may insert. metrics: declarations of the metrics.
    holdout_fraction: share of the episodes that are not trained on; 0 for a plugin that cannot evaluate them.
    stored: samples of other runs; None: all are of this run.
    """

    algorithm: CompleteAlgorithm
    updater: CompleteUpdater
    buffer: ReplayBuffer
    balance: SampleBalance
    feeder: BatchFeeder
    metrics: Metrics
    holdout: HoldoutEvaluation
    holdout_fraction: float
    stored: StoredSamples | None = None


def build_parts(settings: Settings, ranks: Ranks) -> Parts:
    """Build all parts except the actors; sets the seed of torch's global generator."""
    # Every rank needs the same parameters, so this seed is not derived from the rank. All other seeds are.
    torch.manual_seed(settings.seed)
    learner, replay = settings.learner, settings.replay
    algorithm = load_algorithm(settings)
    updater = algorithm.make_updater(
        algorithm.make_networks(),
        ranks.wrap,
        learner,
        ranks.device,
        seed=derive_seed(settings.seed, ranks.rank, "updater"),
    )
    require(
        learner.gradient_accumulation == 1 or updater.accumulates_gradients(),
        f"learner.gradient_accumulation={learner.gradient_accumulation}: the algorithm {settings.algorithm} trains on "
        "whole batches: set it to 1, and lower learner.batch_size if memory is short.",
    )
    buffer = ReplayBuffer(
        algorithm.sample_spec(),
        replay.capacity,
        seed=derive_seed(settings.seed, ranks.rank, "replay"),
        window_start_samples=replay.min_samples,
        window_exponent=replay.window_exponent,
    )
    num_own = settings.data.rows_of_self_play(learner.batch_size)
    stored = _load_stored(settings, buffer, ranks) if settings.data.stored else None
    feeder = BatchFeeder(
        buffer,
        learner.batch_size,
        ranks.device,
        stored,
        learner.batch_size - num_own,
        seed=derive_seed(settings.seed, ranks.rank, "stored"),
    )
    holdout_seed = derive_seed(settings.seed, ranks.rank, "holdout")
    return Parts(
        algorithm=algorithm,
        updater=updater,
        buffer=buffer,
        balance=SampleBalance(replay.samples_per_insert, replay.min_samples, max(1, num_own)),
        feeder=feeder,
        metrics=metrics_of_run(settings),
        holdout=HoldoutEvaluation(updater, feeder, holdout_seed),
        holdout_fraction=learner.holdout_fraction if can_evaluate(updater) else 0.0,
        stored=stored,
    )


def _load_stored(settings: Settings, buffer: ReplayBuffer, ranks: Ranks) -> StoredSamples:
    """Load this rank's stored samples, as many as the replay buffer has room for, all ranks together."""
    problem, stored = "", None
    try:
        stored = load_stored(
            find_sources(settings.data.stored, Path(settings.runs_dir)),
            buffer.spec,
            settings.game,
            max_samples=settings.replay.capacity,
            holdout_fraction=settings.learner.holdout_fraction,
            rank=ranks.rank,
            world_size=ranks.world_size,
        )
    except UserError as error:
        problem = str(error)
    problems = [text for text in ranks.gather(problem) if text]
    require(not problems, "".join(problems[:1]))
    assert stored is not None
    logger.info("%s stored samples from %s", f"{stored.num_samples:,}", settings.data.stored)
    return stored


def start_collecting(
    settings: Settings, parts: Parts, state: RunState, run_dir: Path, stack: ExitStack
) -> tuple[CollectedGames | None, PushedModels | None]:
    """Connect to the collection server, if there is one: each rank takes in its games, and rank 0 pushes models.

    Raises UserError at every rank if there is no token or no such server.
    """
    collect, ranks = settings.collect, state.ranks
    if collect.server is None:
        return None, None
    try:
        from ddpzero.remote.client import Server, read_token
        from ddpzero.training.collected_games import COLLECTED_FOLDER, CollectedGames
        from ddpzero.training.pushed_models import PushedModels
    except ModuleNotFoundError as error:
        raise UserError(
            f"collect.server needs {error.name}: pip install 'ddpzero[contribute]'."
        ) from None

    problem, servers = "", list[Server]()
    try:
        token = read_token(collect.token_file, "collect.token_file")
        servers = [Server(collect.server, token) for _ in range(1 + ranks.is_first)]
    except UserError as error:
        problem = str(error)
    problems = [text for text in ranks.gather(problem) if text]
    require(not problems, "".join(problems[:1]))
    games = CollectedGames(
        servers[0],
        settings.run_name,
        run_dir / COLLECTED_FOLDER,
        parts.buffer.spec,
        settings.game,
        state.counters,
        ranks.rank,
        ranks.world_size,
    )
    stack.enter_context(games)
    pushed = stack.enter_context(PushedModels(servers[1], run_dir)) if ranks.is_first else None
    logger.info("takes in games of contributors from %s", collect.server)
    return games, pushed


def open_store(
    settings: Settings, config: Mapping[str, Any], ranks: Ranks, run_dir: Path
) -> EpisodeStore:
    """Open the store of this rank's finished episodes. config: `settings` as nested plain values."""
    description = {"run": settings.run_name, "config": config, "ddpzero": __version__}
    return EpisodeStore(run_dir / EPISODES_FOLDER, ranks.rank, description)


def start_arena(
    settings: Settings, parts: Parts, state: RunState, run_dir: Path, stack: ExitStack
) -> tuple[Arena | None, Gate | None]:
    """Make the arena, which only rank 0 has, and the gate, which only schedule "rounds" has; `stack` stops both."""
    arena_settings, ranks = settings.arena, state.ranks
    device = choose_actor_device(
        settings.actors, ranks.device, ranks.local_rank, ranks.local_world_size
    )
    workers = stack.enter_context(
        Workers(
            arena_settings.num_workers,
            rank=ranks.rank,
            run_dir=run_dir,
            game=parts.algorithm.game.arguments,
            num_simulations=arena_settings.num_simulations,
            device=str(device),
            hang_seconds=settings.actors.hang_seconds,
        )
    )
    arena = None
    if ranks.is_first:
        pool = _model_pool(settings, parts, run_dir)
        num_cores = ranks.machine_cores or usable_cores()
        judge = _model_judge(settings.judge, run_dir)
        arena = Arena(pool, workers, arena_settings.share, judge, num_cores)
        if arena_settings.num_workers:
            logger.info("%s", arena_line(settings, pool.opponents, num_cores))
    return arena, Gate(arena, workers, ranks) if settings.waits_for_verdicts else None


def arena_line(settings: Settings, opponents: Sequence[str], num_cores: int) -> str:
    """Return what the log says at the start: who plays, how much of the machine that takes, and which models stay."""
    arena, release = settings.arena, settings.release
    workers = f"{arena.num_workers} worker{'s' if arena.num_workers > 1 else ''}"
    rivals = ", ".join(["the model before it", "an earlier one", *opponents])
    percent = f"{100 * arena.share:.3g}%"
    rule = f"release.rule={release.rule}"
    if release.rule != "always":
        rule += f" decides about a model in {release.games} games against the best one"
        if settings.waits_for_verdicts:
            rule += ", which the round waits for and the share does not bound"
    return (
        f"arena: {workers} with at most {percent} of the CPU time of {num_cores} cores (arena.share); each "
        f"model plays {arena.games} games against each of: {rivals}; models/ keeps {arena.max_models} models; {rule}"
    )


def _model_judge(judge: JudgeSettings, run_dir: Path) -> ModelJudge | None:
    if judge.file is None:
        return None
    return ModelJudge(
        run_dir,
        judge.file,
        interval_minutes=judge.interval_minutes,
        num_simulations=judge.num_simulations,
        max_positions=judge.max_positions,
    )


def _model_pool(settings: Settings, parts: Parts, run_dir: Path) -> ModelPool:
    arena, release, game = settings.arena, settings.release, parts.algorithm.game
    opponents = default_opponents(game)
    if arena.num_workers and arena.opponents is not None:
        opponents = names_of_opponents(run_dir, arena.opponents, game)
    return ModelPool(
        run_dir,
        ReleaseRule(
            kind=release.rule,
            games=release.games,
            threshold=release.threshold,
            min_elo=release.min_elo,
            max_steps=release.max_steps,
        ),
        opponents,
        seed=settings.seed,
        num_games=arena.games,
        num_simulations=arena.num_simulations,
        max_models=arena.max_models,
        is_gated=settings.waits_for_verdicts,
    )


def start_actors(
    settings: Settings,
    parts: Parts,
    state: RunState,
    run_dir: Path,
    stack: ExitStack,
    spec: ActorSpec | None = None,
) -> tuple[ActorPool, WeightsChannel]:
    """Start this rank's actors and the channel that brings them weights; `stack` stops them.

    spec: of actors that take the place of the plugin's, and evaluate nothing; None: the plugin's.
    """
    ranks, actors = state.ranks, settings.actors
    device = choose_actor_device(actors, ranks.device, ranks.local_rank, ranks.local_world_size)
    channel = stack.enter_context(WeightsChannel(*parts.updater.possible_actor_weights()))
    num_actors = num_actors_of(settings, ranks)
    evaluator = None
    if spec is None:
        evaluator = evaluator_of_rank(settings, parts.algorithm, str(device), num_actors)
        if settings.evaluator == "simulated" and ranks.rank == 0:
            logger.warning(
                "evaluator=simulated: no network evaluates the positions of the actors, and all answers are alike: "
                "this run measures speed, and its models are of no use."
            )
    pool = stack.enter_context(
        ActorPool(
            spec or parts.algorithm.actor_spec(actors, str(device)),
            channel,
            num_actors=num_actors,
            rank=ranks.rank,
            # With learner_step, so that a resumed run does not repeat its first episodes.
            seed=derive_seed(settings.seed, ranks.rank, "actors", state.counters.learner_step),
            sample_spec=parts.buffer.spec,
            schedule=settings.learner.schedule,
            max_restarts=actors.max_restarts,
            hang_seconds=actors.hang_seconds,
            log_dir=run_dir / LOGS_FOLDER,
            evaluator=evaluator,
        )
    )
    logger.info(
        "rank %d on %s (%s): %s%s with %d games each; replay buffer of %d samples takes %s",
        ranks.rank,
        ranks.node,
        ranks.device,
        "1 actor" if pool.num_actors == 1 else f"{pool.num_actors or 'no'} actors",
        "" if device == ranks.device else f" on {device}",
        actors.num_games,
        parts.buffer.capacity,
        size_text(parts.buffer.size_bytes),
    )
    return pool, channel
