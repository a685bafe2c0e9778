"""Checks whether a run can start here: devices, memory, open files, the run that init_from names, its opponents in
matches, and the contract of a game from outside the package.

Called by the learner on all ranks: for a new run before anything is created, for an earlier one once its folder is
claimed. settings/ has already refused settings that no machine can run.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ddpzero.actors import default_num_actors
from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import (
    errors_of_plugin,
    load_algorithm,
    load_plugin,
    require_game_contract,
)
from ddpzero.arena.judgements import check_judge
from ddpzero.arena.opponents import check_opponents, check_simulations, why_no_matches
from ddpzero.replay import Field, SampleSpec, samples_size_bytes
from ddpzero.run.backends import check_backends
from ddpzero.run.checkpoint_files import CHECKPOINTS_FOLDER, newest_first
from ddpzero.run.initial_weights import find_checkpoint
from ddpzero.run.ranks import Ranks
from ddpzero.settings import ActorSettings, Settings
from ddpzero.system.device_names import gpus_of
from ddpzero.system.devices import cpu_has_bfloat16
from ddpzero.system.errors import UserError, require
from ddpzero.system.machine import Memory, allow_open_files, usable_memory
from ddpzero.system.memory import Factor, Need, check_memory
from ddpzero.training.actor_devices import choose_actor_device, evaluator_of_rank
from ddpzero.training.stored_source import find_sources

# Private memory of a rank and of an actor with their libraries.
# A rank also has episodes on their way to the disk.
_RANK_BYTES = 500 * 2**20
_ACTOR_BYTES = 195 * 2**20
# 42 MiB are modules, measured; the rest is compiled code.
_ACTOR_BYTES_WITHOUT_TORCH = 60 * 2**20
_EPISODE_BYTES = 1_000
# Of a sample in the replay buffer: its origin and its flag, both also in the state that a checkpoint takes.
_BYTES_BESIDE_SAMPLE = 26
# What a process takes of a GPU before it has any network there.
_CUDA_CONTEXT_BYTES = 500 * 2**20
# Sockets, logs, shared memory and the pipes of a shared evaluator; libraries open some more while they load.
_FILES_OF_A_RANK = 60
_FILES_OF_AN_ACTOR = 6


def check_machine(settings: Settings, run_dir: Path, ranks: Ranks) -> list[str]:
    """Check the machine, all ranks together; return warnings on one rank of each node.

    Raises the same UserError on every rank if a check fails on any of them.
    """
    problem = ""
    warnings: list[str] = []
    try:
        actor_device = choose_actor_device(
            settings.actors, ranks.device, ranks.local_rank, ranks.local_world_size
        )
        check_backends(wandb=settings.logging.wandb)
        check_half_precision(settings, ranks.device, actor_device)
        check_compiler(settings, ranks.device, actor_device)
        num_actors = num_actors_of(settings, ranks)
        check_open_files(num_actors)
        if settings.data.stored:
            find_sources(settings.data.stored, Path(settings.runs_dir))
        if ranks.is_first and settings.init_from is not None and not _has_checkpoint(run_dir):
            find_checkpoint(settings.init_from, Path(settings.runs_dir))
        # Before the algorithm compiles the kernels: numba's errors do not name the broken promise.
        if ranks.is_first:
            require_game_contract(settings)
            check_arena(settings, run_dir)
        has_arena = ranks.is_first or settings.waits_for_verdicts
        warnings = check_run_memory(
            settings,
            num_actors,
            ranks.device,
            actor_device,
            ranks.local_world_size,
            num_arena_workers=settings.arena.num_workers if has_arena else 0,
        )
    except UserError as error:
        problem = str(error)
    problems = [text for text in ranks.gather(problem) if text]
    require(not problems, "".join(problems[:1]))
    return warnings if ranks.local_rank == 0 else []


def num_actors_of(settings: Settings, ranks: Ranks) -> int:
    """Return the number of actors of a rank; none if the run plays no games."""
    if not settings.has_actors:
        return 0
    return settings.actors.num_actors or default_num_actors(
        ranks.local_world_size, ranks.machine_cores
    )


def without_impossible_matches(settings: Settings) -> tuple[Settings, list[str]]:
    """Return the settings, without an arena if the game has no matches, and a notice if that is a change.

    Raises UserError if the rule of release needs matches.
    """
    reason = why_no_matches(settings.game.arguments) if settings.arena.num_workers else ""
    if not reason:
        return settings, []
    rule, game = settings.release.rule, settings.game.name
    require(
        rule == "always",
        f"release.rule={rule} needs matches, which game={game} has not: {reason}. Use release.rule=always.",
    )
    without = replace(settings, arena=replace(settings.arena, num_workers=0))
    return without, [f"game={game}: {reason}, so the arena plays no matches."]


def check_arena(settings: Settings, run_dir: Path) -> None:
    """Raise UserError unless the arena can judge the run's models and make the players of its matches."""
    arena, judge = settings.arena, settings.judge
    if arena.num_workers == 0:
        return
    if judge.file is not None:
        check_judge(judge.file, load_algorithm(settings).game)
    if arena.num_simulations is not None:
        key = load_plugin(settings.algorithm).key
        check_simulations(arena.num_simulations, load_algorithm(settings), key)
    if arena.opponents is not None:
        check_opponents(run_dir, arena.opponents, load_algorithm(settings).game)


def check_half_precision(
    settings: Settings, device: torch.device, actor_device: torch.device
) -> None:
    """Raise UserError for float16 on a CPU, and for bfloat16 on one that cannot compute in it."""
    for path, precision, used in (
        ("learner.precision", settings.learner.precision, device),
        ("actors.precision", settings.actors.precision, actor_device),
    ):
        require(
            not (precision == "float16" and used.type == "cpu"),
            f"{path}=float16 is slow on a CPU, and PyTorch sees no GPU here: use auto, float32 or bfloat16.",
        )
        require(
            not (precision == "bfloat16" and used.type == "cpu" and not cpu_has_bfloat16()),
            f"{path}=bfloat16 needs a processor with AVX-512 or AMX, and this one has neither: use auto or float32.",
        )


def check_compiler(settings: Settings, device: torch.device, actor_device: torch.device) -> None:
    """Raise UserError for torch.compile on a CPU without a C++ compiler."""
    for path, compiles, used in (
        ("learner.compile", settings.learner.compile, device),
        ("actors.compile", settings.actors.compile, actor_device),
    ):
        compiler = os.environ.get("CXX", "g++")
        require(
            not (compiles and used.type == "cpu") or shutil.which(compiler) is not None,
            f"{path}=true needs a C++ compiler on a CPU, and there is no {compiler}: install one, name it in CXX, or "
            f"leave {path} out.",
        )


def check_open_files(num_actors: int) -> None:
    """Increase this process's limit of open files to what its actors need. Raises UserError if that is not allowed."""
    needed = _FILES_OF_A_RANK + _FILES_OF_AN_ACTOR * num_actors
    allowed = allow_open_files(needed)
    fitting = (allowed - _FILES_OF_A_RANK) // _FILES_OF_AN_ACTOR
    remedy = f"lower actors.num_actors to {fitting}, or raise" if fitting >= 1 else "raise"
    require(
        allowed >= needed,
        f"actors.num_actors={num_actors} needs {needed} open files at each rank, but no more than {allowed} are "
        f"allowed here: {remedy} the limit, as with ulimit -n {needed}.",
    )


def check_run_memory(
    settings: Settings,
    num_actors: int,
    device: torch.device,
    actor_device: torch.device,
    local_world_size: int,
    memory: Memory | None = None,
    num_arena_workers: int = 0,
) -> list[str]:
    """Return warnings about memory. Raises UserError if the machine or a GPU of this rank has too little for the run.

    memory: that of the machine; None: measure it. num_arena_workers: of this rank.
    """
    algorithm = load_algorithm(settings)
    needs = run_needs(
        settings,
        algorithm,
        num_actors,
        device.type == "cuda",
        actor_device.type == "cuda",
        num_arena_workers,
        evaluator_of_rank(settings, algorithm, str(actor_device), num_actors) is not None,
    )
    on_machine = [need for need in needs if not need.on_gpu]
    warnings = [check_memory(on_machine, memory or usable_memory(), local_world_size)]
    for gpu, on_gpu in needs_of_gpus(needs, device, actor_device).items():
        free_bytes, total_bytes = torch.cuda.mem_get_info(gpu)
        room = Memory(total_bytes, free_bytes)
        num_ranks = 1 if gpu == device else _ranks_on(settings.actors, local_world_size)
        warnings.append(check_memory(on_gpu, room, num_ranks, where=f"GPU {gpu.index}"))
    return [warning for warning in warnings if warning]


def needs_of_gpus(
    needs: Sequence[Need], device: torch.device, actor_device: torch.device
) -> dict[torch.device, list[Need]]:
    """Return what each GPU of a rank must have room for: that of the learner, and that of its actors."""
    by_gpu: dict[torch.device, list[Need]] = {}
    for need in needs:
        if need.on_gpu and need.size_bytes:
            is_actors = need.of_actors or device.type != "cuda"
            by_gpu.setdefault(actor_device if is_actors else device, []).append(need)
    return by_gpu


def _ranks_on(actors: ActorSettings, local_world_size: int) -> int:
    """Return how many ranks of this node let their actors use the same GPU, at most."""
    num_gpus = len(gpus_of(actors.device) or range(torch.cuda.device_count()))
    return math.ceil(local_world_size / num_gpus)


def run_needs(
    settings: Settings,
    algorithm: CompleteAlgorithm,
    num_actors: int,
    on_gpu: bool,
    actors_on_gpu: bool,
    num_arena_workers: int = 0,
    has_evaluator: bool = False,
) -> list[Need]:
    """Return the memory that one rank, its actors and its arena workers need.

    has_evaluator: whether one process evaluates for all actors, which then import no torch.
    """
    replay, learner, actors = settings.replay, settings.learner, settings.actors
    key = load_plugin(settings.algorithm).key
    sample_bytes = samples_size_bytes(_sample_spec(key, algorithm), 1)
    needs = [
        *_needs_of_processes(num_actors, actors_on_gpu, has_evaluator),
        Need(
            "for the replay buffer",
            replay.capacity * (sample_bytes + _BYTES_BESIDE_SAMPLE),
            (Factor("replay.capacity", replay.capacity, 500_000),),
            is_slow=True,
        ),
        Need(
            "for stored samples of data.sources",
            replay.capacity * (sample_bytes + 1) if settings.data.stored else 0,
            (Factor("replay.capacity", replay.capacity, 500_000),),
            is_slow=True,
        ),
        Need(
            "for batches",
            3 * learner.batch_size * sample_bytes,
            (Factor("learner.batch_size", learner.batch_size, 256),),
        ),
    ]
    if num_arena_workers:
        of_workers = (Factor("arena.num_workers", num_arena_workers, 1),)
        size_bytes = num_arena_workers * _ACTOR_BYTES
        needs.append(Need("for the arena's processes", size_bytes, of_workers))
        # They evaluate on the device of the actors.
        size_bytes = num_arena_workers * _CUDA_CONTEXT_BYTES if actors_on_gpu else 0
        what = "for the arena's processes"
        needs.append(Need(what, size_bytes, of_workers, on_gpu=True, of_actors=True))
    if learner.schedule == "rounds":
        episodes = learner.episodes_per_round
        needs.append(
            Need(
                "for the episodes of a round, at least,",
                episodes * (sample_bytes + _EPISODE_BYTES),
                (Factor("learner.episodes_per_round", episodes, 100),),
                is_slow=True,
            )
        )
    of_plugin = _needs_of_plugin(
        key, lambda: algorithm.memory_needs(actors, num_actors, learner, on_gpu, actors_on_gpu)
    )
    if has_evaluator:
        of_plugin = [with_one_evaluator(need, num_actors) for need in of_plugin]
    return needs + of_plugin


def _needs_of_processes(num_actors: int, actors_on_gpu: bool, has_evaluator: bool) -> list[Need]:
    """Return what a rank and its actors need before they do anything."""
    of_actors = (Factor("actors.num_actors", num_actors, 8),)
    actors_bytes = num_actors * (_ACTOR_BYTES_WITHOUT_TORCH if has_evaluator else _ACTOR_BYTES)
    evaluator_bytes = _ACTOR_BYTES if has_evaluator else 0
    num_contexts = (1 if has_evaluator else num_actors) if actors_on_gpu else 0
    return [
        Need("for processes", _RANK_BYTES + actors_bytes + evaluator_bytes, of_actors),
        Need(
            "for the actors' processes",
            num_contexts * _CUDA_CONTEXT_BYTES,
            of_actors,
            on_gpu=True,
            of_actors=True,
        ),
    ]


def with_one_evaluator(need: Need, num_actors: int) -> Need:
    """Return a need of num_actors actors as it is if one process evaluates for all of them."""
    if not need.once_if_shared or num_actors == 0:
        return need
    factors = tuple(f for f in need.factors if f.key != "actors.num_actors")
    return replace(need, size_bytes=need.size_bytes // num_actors, factors=factors)


def _sample_spec(key: str, algorithm: CompleteAlgorithm) -> SampleSpec:
    """Return the plugin's sample spec. Raises UserError if it is none."""
    with errors_of_plugin(key, "sample_spec"):
        spec: Any = algorithm.sample_spec()
    require(
        isinstance(spec, Mapping) and all(isinstance(field, Field) for field in spec.values()),
        f"{key}: sample_spec returns {repr(spec)[:80]}, which is not a dict of name to Field: fix the plugin.",
    )
    return spec


def _needs_of_plugin(key: str, memory_needs: Callable[[], Any]) -> list[Need]:
    """Return the plugin's estimate of its memory. Raises UserError if it is none."""
    with errors_of_plugin(key, "memory_needs"):
        needs = memory_needs()
    require(
        isinstance(needs, list) and all(isinstance(need, Need) for need in needs),
        f"{key}: memory_needs returns {repr(needs)[:80]}, which is not a list of Need: fix the plugin.",
    )
    return needs


def _has_checkpoint(run_dir: Path) -> bool:
    return bool(newest_first(run_dir / CHECKPOINTS_FOLDER))
