"""Benchmarks a collection server on loopback. Called by `ddpzero bench serve`.

The server is a process of its own, as `ddpzero serve` starts it, with its validators on one core, so that a figure is
per core. Contributors are coroutines here. Each sends real games, a batch after the other, and looks for a newer model
now and then, as `ddpzero contribute` does; each batch differs from all others in the values of its searches.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2 as httpx
import numpy as np
import psutil
import torch

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.remote.client import Server
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import API_PATH
from ddpzero.remote.model_file import ModelFile, model_file_bytes
from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, write_shard
from ddpzero.serve.accounts import add_user
from ddpzero.serve.database import DATABASE_FILE, open_database
from ddpzero.serve.validation import Limits, Validator
from ddpzero.settings import Settings
from ddpzero.system.errors import require
from ddpzero.system.measurements import Measurement, game_settings

_MODEL = "bench-b1c8-s1-d1"
_ADDRESS = re.compile(r"http://([\d.]+):(\d+)")
# Different games that are played before; batches are drawn from them.
_NUM_GAMES = 400
_LOOK_EVERY = 10
_START_SECONDS = 120.0


@dataclass
class Traffic:
    """What the contributors did. seconds: of each upload, from the request to the answer."""

    accepted_games: int = 0
    sent_bytes: int = 0
    requests: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)


def bench_serve(
    settings: Settings, seconds: float, num_contributors: int, batch_games: int, seed: int
) -> list[Measurement]:
    """Measure validation alone, and then a server under the traffic of num_contributors.

    batch_games: games in an upload. Raises UserError if games of these settings cannot be collected.
    """
    config = contributed_config(settings_to_dict(settings))
    settings = settings_from_dict(config)
    algorithm = load_algorithm(settings)
    episodes, model = _play(algorithm, settings, config, seed)
    of_game = game_settings(settings.game.parameters)
    conditions = {"seconds": seconds, "num_contributors": num_contributors} | {
        **of_game,
        "batch_games": batch_games,
        "seed": seed,
    }

    def measured(figure: str, value: float, unit: str) -> Measurement:
        return Measurement("serve", settings.game.name, figure, value, unit, conditions)

    with tempfile.TemporaryDirectory(prefix="ddpzero-bench-") as name:
        folder = Path(name)
        batches = _Batches(episodes, config, batch_games, folder / "batches", seed)
        rate = _validation_rate(config, batches, seconds=min(seconds, 10.0))
        tokens = _add_users(folder, num_contributors)
        with _server(folder) as (address, process):
            learner = Server(address, tokens[0])
            learner.push_model(_MODEL, model_file_bytes(model))
            cpu_before = _cpu_seconds(process)
            started = time.monotonic()
            traffic = asyncio.run(_send(address, tokens[1:], batches, seconds))
            elapsed = time.monotonic() - started
            cpu_seconds = _cpu_seconds(process) - cpu_before
            memory = _memory_bytes(process)
            learner.close()
        uploads = len(traffic.seconds)
        require(uploads > 0, f"no upload was answered within {seconds:g} seconds.")
        p95 = quantiles(traffic.seconds, n=20)[-1] if uploads > 1 else traffic.seconds[0]
        games = max(1, traffic.accepted_games)
        on_disk = sum(path.stat().st_size for path in folder.glob("training_data/**/*.npz"))
        return [
            measured("validated_games_per_second", rate, "1/s"),
            measured("uploads_per_second", uploads / elapsed, "1/s"),
            measured("accepted_games_per_second", traffic.accepted_games / elapsed, "1/s"),
            measured("requests_per_second", traffic.requests / elapsed, "1/s"),
            measured("failed_requests", traffic.failed, ""),
            measured("upload_seconds_median", float(np.median(traffic.seconds)), "s"),
            measured("upload_seconds_p95", p95, "s"),
            measured("cpu_seconds_per_upload", cpu_seconds / uploads, "s"),
            measured("upload_bytes_per_game", traffic.sent_bytes / games, "B"),
            measured("disk_bytes_per_game", on_disk / games, "B"),
            measured("database_bytes_per_game", _database_bytes(folder) / games, "B"),
            measured("memory", memory / 2**20, "MiB"),
        ]


def _play(
    algorithm: CompleteAlgorithm, settings: Settings, config: dict[str, Any], seed: int
) -> tuple[list[Episode], ModelFile]:
    """Return games of an untrained network, with few simulations, and its model."""
    updater = algorithm.make_updater(
        algorithm.make_networks(),
        lambda module: module,
        settings.learner,
        torch.device("cpu"),
        seed,
    )
    weights = {name: value.cpu() for name, value in updater.actor_weights().items()}
    actors = replace(settings.actors, num_games=64, precision="float32")
    actor = algorithm.actor_spec(actors, "cpu").make(0, 0, seed=seed)
    actor.receive({name: value.numpy() for name, value in weights.items()}, 1)
    episodes: list[Episode] = []
    while len(episodes) < _NUM_GAMES:
        episodes += actor.play()
    counters = {"weights_version": 1, "samples_trained": 1}
    model = ModelFile(_MODEL, "bench", config, counters, updater.released_weights(), weights)
    return episodes, model


class _Batches:
    """Makes uploads of different games, each of which is valid. folder: for a temporary file."""

    def __init__(
        self,
        episodes: Sequence[Episode],
        config: dict[str, Any],
        batch_games: int,
        folder: Path,
        seed: int,
    ) -> None:
        # Where no sample's outcome is a value of its search, these values can be changed.
        self._episodes = [e for e in episodes if len(set(np.abs(e.columns["outcome"]))) == 1]
        self._config = config
        self._batch_games = batch_games
        self._path = folder / "batch.npz"
        self._rng = np.random.default_rng(seed)

    def make(self) -> bytes:
        """Return the content of an upload."""
        chosen = self._rng.choice(len(self._episodes), self._batch_games)
        episodes = [self._episodes[number] for number in chosen]
        names = list(episodes[0].columns)
        columns = {n: np.concatenate([e.columns[n] for e in episodes]) for n in names}
        size = len(columns["root_value"])
        columns["root_value"] = self._rng.uniform(-0.99, 0.99, size).astype(np.float32)
        columns[HELD_OUT] = np.zeros(size, np.bool_)
        ends = np.cumsum([episode.num_samples for episode in episodes])
        stored = [
            StoredEpisode(e.info, _MODEL, slice(int(end) - e.num_samples, int(end)))
            for e, end in zip(episodes, ends, strict=True)
        ]
        write_shard(self._path, Shard(columns, stored, {"config": self._config}))
        return self._path.read_bytes()


def _validation_rate(config: dict[str, Any], batches: _Batches, seconds: float) -> float:
    """Return the games that one core validates per second of its CPU time."""
    validator = Validator(config)
    limits = Limits(1, 10**6, 10**6, 1 << 30, frozenset([1]))
    uploads = [batches.make() for _ in range(8)]
    validator.examine(uploads[0], limits)
    num_games, started, until = 0, time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        examination = validator.examine(uploads[num_games % len(uploads)], limits)
        problem = examination.problem or "".join(text for _, text in examination.rejected[:1])
        require(not problem, f"a game of the benchmark is not valid: {problem}")
        num_games += len(examination.valid)
    return num_games / (time.process_time() - started)


def _add_users(folder: Path, num_contributors: int) -> list[str]:
    """Add a learner and contributors; return their tokens."""
    engine = open_database(folder, None)
    tokens = [add_user(engine, "learner", "learner")]
    tokens += [add_user(engine, f"contributor{number}") for number in range(num_contributors)]
    engine.dispose()
    return tokens


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start a server on one core; return its address and its process."""
    command = [sys.executable, "-m", "ddpzero.cli", "serve", str(folder), "serve.port=0"]
    command += ["serve.min_plies=1", "serve.max_plies=100000", "serve.shard_seconds=5"]
    command += ["serve.requests_per_minute=1000000", "serve.address_requests_per_minute=1000000"]
    cores = sorted(os.sched_getaffinity(0))
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        os.sched_setaffinity(process.pid, cores[-1:])
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            if found := _ADDRESS.search(line):
                break
        require(found is not None, "the server of the benchmark did not start.")
        assert found is not None
        address = found[0]
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            try:
                httpx.get(f"{address}{API_PATH}/statistics")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


async def _send(address: str, tokens: Sequence[str], batches: _Batches, seconds: float) -> Traffic:
    """Let contributors send batches for some seconds."""
    traffic = Traffic()
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        await asyncio.gather(
            *(_contribute(client, address, token, batches, until, traffic) for token in tokens)
        )
    return traffic


async def _contribute(
    client: httpx.AsyncClient,
    address: str,
    token: str,
    batches: _Batches,
    until: float,
    traffic: Traffic,
) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    number = 0
    while time.monotonic() < until:
        if number % _LOOK_EVERY == 0:
            await client.get(f"{address}{API_PATH}/run", headers=headers)
            traffic.requests += 1
        number += 1
        content = batches.make()
        started = time.monotonic()
        answer = await client.put(
            f"{address}{API_PATH}/games/{random.randbytes(16).hex()}",
            params={"model": _MODEL},
            content=content,
            headers=headers,
        )
        traffic.requests += 1
        if answer.status_code != 200:
            traffic.failed += 1
            await asyncio.sleep(1.0)
            continue
        traffic.seconds.append(time.monotonic() - started)
        traffic.accepted_games += answer.json()["accepted"]
        traffic.sent_bytes += len(content)


def _cpu_seconds(process: psutil.Process) -> float:
    of_all = [process, *process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in of_all)


def _memory_bytes(process: psutil.Process) -> int:
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])


def _database_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{DATABASE_FILE}*"))
