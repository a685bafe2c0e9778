"""Measures what suits this machine, and writes it as a preset. Called by `ddpzero tune`.

The preset hardware/tuned.yaml has the reasons as comments. It changes how fast a run is, not what it learns: batch size
of the learner and simulations stay those of the config.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.learner import bench_learner
from ddpzero.bench.pipeline import Trial, recommended
from ddpzero.bench.self_play import NoEpisodeError, measure_self_play
from ddpzero.bench.sharing import NOT_APPLICABLE, advice, measure_ways
from ddpzero.config.conf_folder import conf_dir
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.precision import narrow_dtype
from ddpzero.settings import Settings
from ddpzero.system.cores import usable_cores
from ddpzero.system.devices import choose_device, synchronize
from ddpzero.system.errors import UserError, require
from ddpzero.system.machine import usable_memory
from ddpzero.system.memory import check_memory
from ddpzero.system.origin import machine_text, version_text
from ddpzero.system.other_load import load_of_others
from ddpzero.system.whole_files import replace_whole, require_writable
from ddpzero.training.actor_devices import choose_actor_device
from ddpzero.training.preflight import run_needs

PRESET = Path("hardware") / "tuned.yaml"
_BATCHES = (16, 32, 64, 128, 256, 512, 1024, 2048)
# Each batch is measured so often, in turn with the others: the best of them is what others disturbed least.
_FORWARD_ROUNDS = 4
_FORWARD_SECONDS, _LEARNER_SECONDS, _PLAY_SECONDS = 0.1, 3.0, 6.0
_SHARING_SECONDS = 14.0
# Where a network is slow: no batches larger than one that takes so long, and no further rounds after so long.
_LONG_BATCH_SECONDS, _LONG_FORWARD_SECONDS = 0.5, 12.0
# To wait for the first episodes of some actors.
_PLAY_START_SECONDS = 45.0
# An update that takes so long is measured with the configured batch size alone, or not at all.
_SLOW_UPDATE_SECONDS, _HOPELESS_UPDATE_SECONDS = 2.0, 10.0
# Forward and backward pass, in forward passes.
_PASSES_OF_UPDATE = 3.0
# A batch this close to the fastest one is large enough.
_GOOD_ENOUGH = 0.95
# A narrow dtype must be this much faster.
_WORTHWHILE = 1.1
_SMALLEST_CAPACITY = 10_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Choice:
    """A setting of the preset. reason: its comment."""

    key: str
    value: object
    reason: str


@dataclass(frozen=True)
class ForwardRate:
    """Positions per second of the network alone."""

    dtype: str
    batch: int
    rate: float


def tune(settings: Settings, seed: int, say: Say) -> list[Choice]:
    """Measure this machine for a run with these settings, in less than three minutes; return what suits it.

    say: is told each step. Raises UserError if the run does not fit into the memory.
    """
    device = choose_device(settings.device, local_rank=0, local_world_size=1)
    choices = [Choice("device", device.type, "the device that was measured")]
    of_actors = choose_actor_device(settings.actors, device, local_rank=0)
    forward = _network_rates(settings, of_actors, seed, say)
    choices += _of_network(forward, of_actors)
    choices += _of_self_play(_with(settings, choices), of_actors, seed, say)
    choices += _of_sharing(_with(settings, choices), device, of_actors, say)
    best = max((rate.rate for rate in forward), default=float("inf"))
    choices += _of_learner(_with(settings, choices), seed, _PASSES_OF_UPDATE / best, say)
    choices += _of_memory(_with(settings, choices), device, say)
    return choices


def write_preset(choices: Sequence[Choice], folder: Path, command: str, load: str = "") -> Path:
    """Write the choices to a folder like conf/; return the file's path. Raises UserError if it cannot be written.

    command, load: see preset_text.
    """
    path = folder / PRESET
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, preset_text(choices, command, load).encode())
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}. Choose another --config-dir."
        ) from None
    return path


def preset_text(choices: Sequence[Choice], command: str, load: str = "") -> str:
    """Return the preset as YAML. command: that wrote it. load: of other programs meanwhile, see load_of_others."""
    lines = [
        "# @package _global_",
        f"# Written by `{command}` on {time.strftime('%Y-%m-%d')}: {machine_text()}, {version_text()}.",
        *([f"# Measured while {load}: better measure again when they are done."] if load else []),
        "# Write it after the experiment: the later preset wins.",
    ]
    group = ""
    for choice in sorted(choices, key=lambda choice: choice.key.rpartition(".")[0]):
        own_group, _, name = choice.key.rpartition(".")
        if own_group != group:
            lines.append(f"{own_group}:")
            group = own_group
        indent = "  " if own_group else ""
        value = "null" if choice.value is None else choice.value
        lines.append(f"{indent}{name}: {value} # {choice.reason}")
    return "\n".join(lines) + "\n"


def default_folder() -> Path:
    """Return the conf folder of a clone, where main finds the preset by itself; else my_conf."""
    folder = conf_dir()
    is_clone = (folder.parent / "pyproject.toml").exists()
    return folder if is_clone else Path("my_conf")


# ------------------------------------------------------------------- measured


def _network_rates(
    settings: Settings, device: torch.device, seed: int, say: Say
) -> list[ForwardRate]:
    """Return how fast the network is with each dtype and batch; none of a plugin without such networks."""
    game, network = load_algorithm(settings).game, settings.sections.get("network")
    if not isinstance(game, Game) or not isinstance(network, NetworkSettings):
        return []
    torch.manual_seed(seed)
    torch.set_num_threads(settings.actors.num_threads)
    module = make_network(game, network, settings.sections["loss"].auxiliary(game))
    dtypes = [torch.float32, *filter(None, [narrow_dtype(device)])]
    rates: list[ForwardRate] = []
    for dtype in dtypes:
        inference = InferenceNetwork(module, game, device, dtype)
        name = str(dtype).removeprefix("torch.")
        for batch, rate in _forward_rates(inference).items():
            rates.append(ForwardRate(name, batch, rate))
        say(
            f"network in {name}: "
            + ", ".join(f"{r.rate:,.0f}/s with {r.batch}" for r in rates if r.dtype == name)
        )
    return rates


def _of_network(rates: Sequence[ForwardRate], device: torch.device) -> list[Choice]:
    """Choose the dtype and the number of games: the batch at which the network is about as fast as it gets."""
    if not rates:
        return []
    chosen = choose_batch(rates)
    # Two groups of an actor's games take turns on a GPU.
    num_games = chosen.batch * (2 if device.type != "cpu" else 1)
    best = {r.dtype: max(o.rate for o in rates if o.dtype == r.dtype) for r in rates}
    others = ", ".join(f"{rate:,.0f}/s in {name}" for name, rate in best.items())
    return [
        Choice("actors.precision", chosen.dtype, f"the network evaluates {others}"),
        Choice(
            "actors.num_games",
            num_games,
            f"{chosen.rate:,.0f} positions/s with a batch of {chosen.batch}; the most is {max(best.values()):,.0f}",
        ),
    ]


def choose_batch(rates: Sequence[ForwardRate]) -> ForwardRate:
    """Return the smallest batch that is about as fast as the fastest one of its dtype; float32 unless it is slow."""
    best = {rate.dtype: max(r.rate for r in rates if r.dtype == rate.dtype) for rate in rates}
    wide = best["float32"]
    name = max(best, key=lambda dtype: best[dtype])
    name = name if best[name] >= _WORTHWHILE * wide else "float32"
    return next(
        rate for rate in rates if rate.dtype == name and rate.rate >= _GOOD_ENOUGH * best[name]
    )


def _forward_rates(inference: InferenceNetwork) -> dict[int, float]:
    """Return positions per second for each batch, up to the first one that takes long."""
    started = time.perf_counter()
    best: dict[int, float] = {}
    for batch in _BATCHES:
        best[batch] = _forward_rate(inference, batch)
        if batch > _LONG_BATCH_SECONDS * best[batch]:
            break
    for _ in range(_FORWARD_ROUNDS - 1):
        if time.perf_counter() > started + _LONG_FORWARD_SECONDS:
            break
        best = {batch: max(rate, _forward_rate(inference, batch)) for batch, rate in best.items()}
    return best


def _forward_rate(inference: InferenceNetwork, batch: int) -> float:
    shape = (batch, inference.game.observation_size_bytes)
    packed = torch.zeros(shape, dtype=torch.uint8, device=inference.device)
    planes = inference.planes(packed)
    inference.forward(planes)
    synchronize(inference.device)
    started, num_batches = time.perf_counter(), 0
    while num_batches == 0 or time.perf_counter() < started + _FORWARD_SECONDS:
        inference.forward(planes)
        num_batches += 1
        synchronize(inference.device)
    return num_batches * batch / (time.perf_counter() - started)


def _of_self_play(settings: Settings, device: torch.device, seed: int, say: Say) -> list[Choice]:
    """Choose how many actors play, from trials of some numbers of them."""
    if not settings.has_actors:
        return []
    trials = []
    for number in numbers_of_actors(usable_cores()):
        own = replace(settings, actors=replace(settings.actors, num_actors=number))
        actors = f"{number} actor{'s' if number > 1 else ''}"
        try:
            rates = measure_self_play(
                own, number, _PLAY_SECONDS, seed, str(device), _PLAY_START_SECONDS
            )
        except NoEpisodeError:
            say(f"self-play with {actors}: no episode within {_PLAY_START_SECONDS:g} s")
            break
        trials.append(Trial(number, settings.actors.num_games, rates))
        say(f"self-play with {actors}: {rates.positions_per_second:,.0f} positions/s")
    if not trials:
        reason = "not measured: episodes are too long here; usual for so many cores"
        return [Choice("actors.num_actors", numbers_of_actors(usable_cores())[0], reason)]
    chosen = recommended(trials)
    found = ", ".join(f"{t.rates.positions_per_second:,.0f}/s with {t.num_actors}" for t in trials)
    return [
        Choice(
            "actors.num_actors",
            chosen.num_actors,
            f"positions evaluated, without a learner beside them: {found}",
        )
    ]


def numbers_of_actors(cores: int) -> list[int]:
    """Return numbers of actors to try: the usual advice for so many cores, never more than all but one of them."""
    usual = next(numbers for most, numbers in _USUAL if cores <= most)
    most = max(1, cores - 1)
    return sorted({min(number, most) for number in usual})


# Of users of such programs: for up to so many cores, that many actors.
_USUAL: tuple[tuple[float, tuple[int, ...]], ...] = (
    (3, (1, 2)),
    (8, (2, 3, 4, 7)),
    (16, (4, 6, 8)),
    (32, (8, 10, 12)),
    (float("inf"), (12, 14, 16)),
)


def _of_sharing(
    settings: Settings, device: torch.device, of_actors: torch.device, say: Say
) -> list[Choice]:
    """Note how evaluator and learner share a GPU, which they do in two processes."""
    num_actors = settings.actors.num_actors or 0
    has_evaluator = settings.evaluator in ("auto", "shared") and num_actors > 1
    if device.type == "cpu" or device != of_actors or not has_evaluator:
        say(f"sharing: {NOT_APPLICABLE}")
        return []
    found = measure_ways(settings, device, _SHARING_SECONDS)
    say(f"sharing: {advice(found)}")
    return [Choice("evaluator", "shared", advice(found))]


def _of_learner(settings: Settings, seed: int, seconds_of_sample: float, say: Say) -> list[Choice]:
    """Choose the learner's threads on a CPU, and note how its speed depends on the batch size.

    seconds_of_sample: of an update, as the speed of the network suggests.
    """
    batch = settings.learner.batch_size
    seconds_of_update = batch * seconds_of_sample
    if seconds_of_update > _HOPELESS_UPDATE_SECONDS:
        say(f"learner: not measured, for an update takes about {seconds_of_update:.0f} s")
        reason = f"as configured; not measured, for an update takes about {seconds_of_update:.0f} s"
        return [Choice("learner.batch_size", batch, reason)]
    on_cpu = choose_device(settings.device, 0, 1).type == "cpu"
    threads = [1] if not on_cpu or usable_cores() < 4 else [1, 2, 4]
    rates = {number: _learner_rate(settings, seed, num_threads=number) for number in threads}
    num_threads = next(n for n in threads if rates[n] >= _GOOD_ENOUGH * max(rates.values()))
    batches = {batch: rates[num_threads]}
    others = (batch // 2, 2 * batch) if seconds_of_update < _SLOW_UPDATE_SECONDS else ()
    for size in others:
        if size == 0 or size % settings.learner.gradient_accumulation:
            continue
        batches[size] = _learner_rate(settings, seed, num_threads=num_threads, batch_size=size)
    found = ", ".join(
        f"{rate:,.0f} samples/s with {size}" for size, rate in sorted(batches.items())
    )
    say(f"learner: {found}")
    by_threads = ", ".join(f"{rate:,.0f} samples/s with {number}" for number, rate in rates.items())
    return [
        Choice("learner.num_threads", num_threads, by_threads),
        Choice("learner.batch_size", batch, f"as configured; the learner trains {found}"),
    ]


def _learner_rate(settings: Settings, seed: int, **changes: Any) -> float:
    own = replace(settings, learner=replace(settings.learner, **changes))
    figures = bench_learner(own, _LEARNER_SECONDS, seed)
    return next(f.value for f in figures if f.figure == "samples_per_second")


def _of_memory(settings: Settings, device: torch.device, say: Say) -> list[Choice]:
    """Choose a replay buffer that fits. Raises UserError if none does."""
    algorithm, memory = load_algorithm(settings), usable_memory()
    capacity, on_gpu = settings.replay.capacity, device.type == "cuda"
    num_actors = settings.actors.num_actors or 0
    while True:
        own = replace(settings, replay=replace(settings.replay, capacity=capacity))
        needs = run_needs(own, algorithm, num_actors, on_gpu, on_gpu, settings.arena.num_workers)
        here = [need for need in needs if not need.on_gpu]
        total = sum(need.size_bytes for need in here)
        if total <= memory.free_bytes or capacity <= _SMALLEST_CAPACITY:
            break
        capacity //= 2
    check_memory(here, memory)
    text = f"the run takes up to {total / 2**30:.1f} of {memory.free_bytes / 2**30:.1f} GiB that are free"
    say(f"memory: {text}")
    return [Choice("replay.capacity", capacity, text)]


def _with(settings: Settings, choices: Sequence[Choice]) -> Settings:
    """Return the settings with the choices made so far."""
    for choice in choices:
        group, _, name = choice.key.rpartition(".")
        change: dict[str, Any] = {name: choice.value}
        if group:
            change = {group: replace(getattr(settings, group), **change)}
        settings = replace(settings, **change)
    return settings


def run_tune(settings: Settings, folder: Path | None, command: str, seed: int, say: Say) -> None:
    """Measure, write the preset, and say how to use it."""
    require(
        settings.data.self_play_share > 0,
        "data.sources names no self_play: there is nothing to tune but a training on stored games.",
    )
    chosen = folder or default_folder()
    other = conf_dir() / PRESET
    require(
        chosen.resolve() == conf_dir() or not other.exists(),
        f"{other} exists, and a run finds it before that of {chosen}: remove it, or leave --config-dir out.",
    )
    # Before minutes of measuring.
    require_writable("--config-dir", chosen / PRESET.parent, make=True)
    if load := load_of_others():
        say(f"{load}: what is measured now is too slow. Better measure again when they are done.")
    started = time.monotonic()
    choices = tune(settings, seed, say)
    path = write_preset(choices, chosen, command, load)
    is_found = chosen.resolve() == conf_dir()
    option = "" if is_found else f"--config-dir {chosen} "
    say(f"{path} written after {time.monotonic() - started:.0f} s:")
    say(path.read_text())
    say(f"Use it: python -m ddpzero.main {option}+experiment=... +hardware=tuned")
