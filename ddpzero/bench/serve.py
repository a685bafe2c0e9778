"""Benchmarks a collection server on loopback. Called by `ddpzero bench serve`.

The server is a process of its own, as `ddpzero serve` starts it, with its validators on one core, so that a figure is
per core. Contributors are coroutines here. Each sends real games, a batch after the other, and looks for a newer model
now and then, as `ddpzero contribute` does; each batch differs from all others in the policies of its searches.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2 as httpx
import numpy as np
import psutil

from ddpzero.algorithms.base import CompleteAlgorithm
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.untrained import untrained_updater
from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.remote.client import Server
from ddpzero.remote.contributed import contributed_config
from ddpzero.remote.messages import API_PATH
from ddpzero.remote.model_file import ModelFile, model_file_bytes
from ddpzero.replay import Episode
from ddpzero.replay.buffer import HELD_OUT
from ddpzero.run.shard import Shard, StoredEpisode, read_shard, write_shard
from ddpzero.serve.accounts import add_user
from ddpzero.serve.database import DATABASE_FILE, open_database
from ddpzero.serve.run import LOG_FILE
from ddpzero.serve.upload_content import hash_of
from ddpzero.serve.validation import Limits, Validator
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, require
from ddpzero.system.measurements import Measurement, game_settings
from ddpzero.system.parent import with_parent
from ddpzero.system.temporary_folder import temporary_folder

_MODEL = "bench-b1c8-s1-d1"
_ADDRESS = re.compile(r"http://([\d.]+):(\d+)")
# Different games that are played before; batches are drawn from them.
_NUM_GAMES = 100
_LOOK_EVERY = 10
# Of the policies of a game, those that prefer more than one action.
_FEWEST_CHOICES = 5
# Of the games, if something is killed.
_FORGED_SHARE = 0.1
_START_SECONDS = 120.0
# For a server that is stopped to answer what it is at.
_SECONDS_TO_END = 120.0


@dataclass
class Traffic:
    """What the contributors did. seconds: of each upload, from request to answer. Games: of answered uploads."""

    accepted_games: int = 0
    rejected_games: int = 0
    forged_games: int = 0
    sent_bytes: int = 0
    requests: int = 0
    failed: int = 0
    seconds: list[float] = field(default_factory=list)


def bench_serve(
    settings: Settings,
    seconds: float,
    num_contributors: int,
    batch_games: int,
    num_kills: int,
    seed: int,
) -> list[Measurement]:
    """Measure validation alone, and then a server under the traffic of num_contributors.

    batch_games: games in an upload. num_kills: how often the server, or a tenth of the contributors, is killed
    meanwhile; with kills, contributors also forge a game in ten, and it is counted what was lost, counted twice, or
    accepted although it is invalid. Raises UserError if games of these settings cannot be collected.
    """
    config = contributed_config(settings_to_dict(settings))
    settings = settings_from_dict(config)
    algorithm = load_algorithm(settings)
    episodes, model = _play(algorithm, settings, config, seed)
    conditions = {
        **game_settings(settings.game.parameters),
        "seconds": seconds,
        "num_contributors": num_contributors,
        "batch_games": batch_games,
        "num_kills": num_kills,
        "seed": seed,
    }

    def measured(figure: str, value: float, unit: str = "") -> Measurement:
        return Measurement("serve", settings.game.name, figure, value, unit, conditions)

    with temporary_folder("ddpzero-bench-") as folder:
        honest = _Batches(episodes, config, batch_games, 0.0, folder / "batches", seed)
        rate = _validation_rate(config, honest, seconds=min(seconds, 10.0))
        batches = replace(honest, forged_share=_FORGED_SHARE) if num_kills else honest
        tokens = _add_users(folder, num_contributors)
        with _Server(folder) as server:
            learner = Server(server.address, tokens[0])
            learner.push_model(_MODEL, model_file_bytes(model))
            learner.close()
            # The validator has started.
            asyncio.run(_send(server, tokens[1:2], honest, 1.0, 0))
            cpu_before = server.cpu_seconds
            warm_games = _stored_in_database(server)
            started = time.monotonic()
            traffic = asyncio.run(_send(server, tokens[1:], batches, seconds, num_kills))
            elapsed = time.monotonic() - started
            cpu_seconds, memory = server.cpu_seconds - cpu_before, server.memory_bytes
        uploads = len(traffic.seconds)
        require(uploads > 0, f"no upload was answered within {seconds:g} seconds.")
        p95 = quantiles(traffic.seconds, n=20)[-1] if uploads > 1 else traffic.seconds[0]
        games = max(1, traffic.accepted_games)
        on_disk = sum(path.stat().st_size for path in folder.glob("training_data/**/*.npz"))
        measurements = [
            measured("validated_games_per_second", rate, "1/s"),
            measured("uploads_per_second", uploads / elapsed, "1/s"),
            measured("accepted_games_per_second", traffic.accepted_games / elapsed, "1/s"),
            measured("requests_per_second", traffic.requests / elapsed, "1/s"),
            measured("failed_requests", traffic.failed),
            measured("upload_seconds_median", float(np.median(traffic.seconds)), "s"),
            measured("upload_seconds_p95", p95, "s"),
            measured("cpu_seconds_per_upload", cpu_seconds / uploads, "s"),
            measured("upload_bytes_per_game", traffic.sent_bytes / games, "B"),
            measured("disk_bytes_per_game", on_disk / games, "B"),
            measured("database_bytes_per_game", _database_bytes(folder) / games, "B"),
            measured("memory", memory / 2**20, "MiB"),
        ]
        stored, different = _stored(folder)
        return [
            *measurements,
            measured("acknowledged_games", traffic.accepted_games),
            measured("lost_games", max(0, warm_games + traffic.accepted_games - different)),
            measured("games_counted_twice", stored - different),
            measured("forged_games", traffic.forged_games),
            measured("forged_games_accepted", traffic.forged_games - traffic.rejected_games),
        ]


def _stored_in_database(server: _Server) -> int:
    return int(httpx.get(f"{server.address}{API_PATH}/statistics").json()["num_games"])


def _play(
    algorithm: CompleteAlgorithm, settings: Settings, config: dict[str, Any], seed: int
) -> tuple[list[Episode], ModelFile]:
    """Return games of an untrained network, with few simulations, and its model."""
    updater = untrained_updater(algorithm, settings, seed)
    weights = {name: value.cpu() for name, value in updater.actor_weights().items()}
    actors = replace(settings.actors, num_games=64, precision="float32")
    actor = algorithm.actor_spec(actors, "cpu").make(0, 0, seed=seed)
    actor.receive({name: value.numpy() for name, value in weights.items()}, 1)
    episodes: list[Episode] = []
    while len(episodes) < _NUM_GAMES:
        episodes += [episode for episode in actor.play() if _can_be_another(episode)]
    counters = {"weights_version": 1, "samples_trained": 1}
    model = ModelFile(_MODEL, "bench", config, counters, updater.released_weights(), weights)
    return episodes, model


@dataclass
class _Batches:
    """Makes uploads of different games. forged_share: of the games, with an illegal move. folder: for a file."""

    episodes: Sequence[Episode]
    config: dict[str, Any]
    batch_games: int
    forged_share: float
    folder: Path
    seed: int

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def make(self) -> tuple[bytes, int]:
        """Return the content of an upload, and how many of its games are forged."""
        chosen = self._rng.choice(len(self.episodes), self.batch_games)
        episodes = [self.episodes[number] for number in chosen]
        names = list(episodes[0].columns)
        columns = {n: np.concatenate([e.columns[n] for e in episodes]) for n in names}
        size = len(columns["root_value"])
        columns["policy_target"] = _other_policies(self._rng, columns["policy_target"])
        columns[HELD_OUT] = np.zeros(size, np.bool_)
        if "next_policy_target" in columns:
            lasts = np.cumsum([episode.num_samples for episode in episodes]) - 1
            columns["next_policy_target"] = np.roll(columns["policy_target"], -1, axis=0)
            columns["next_policy_target"][lasts] = 0
        stored, first, num_forged = [], 0, 0
        for episode in episodes:
            last, info = first + episode.num_samples, episode.info
            if self._rng.random() < self.forged_share:
                num_forged += 1
                info = {**info, "moves": [*info["moves"][:-1], info["moves"][-1] + 1000]}
            stored.append(StoredEpisode(info, _MODEL, slice(first, last)))
            first = last
        path = self.folder / "batch.npz"
        write_shard(path, Shard(columns, stored, {"config": self.config}))
        return path.read_bytes(), num_forged


def _can_be_another(episode: Episode) -> bool:
    """Return whether a game with random policies hardly ever equals another one with the same moves."""
    num_preferred = (episode.columns["policy_target"] > 0).sum(axis=1)
    return bool((num_preferred > 1).sum() >= _FEWEST_CHOICES)


def _other_policies(rng: np.random.Generator, policies: np.ndarray) -> np.ndarray:
    """Return random policies that prefer the same actions as policies `[n, A]`."""
    changed = (policies > 0) * rng.uniform(0.1, 1.0, policies.shape)
    sums = changed.sum(axis=1, keepdims=True)
    return np.divide(changed, sums, out=np.zeros_like(changed), where=sums > 0).astype(np.float16)


def _validation_rate(config: dict[str, Any], batches: _Batches, seconds: float) -> float:
    """Return the games that one core validates per second of its CPU time."""
    validator = Validator(config)
    limits = Limits(1, 10**6, 10**6, 1 << 30, frozenset([1]))
    uploads = [batches.make()[0] for _ in range(8)]
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


class _Server:
    """A server on one core, which can be killed and started again. As a context manager, it is stopped at the end."""

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self._folder = folder
        self._port = 0
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        # Of processes that were killed.
        self._cpu_seconds = 0.0

    def __enter__(self) -> _Server:
        self.start()
        self.wait_until_it_serves()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all processes of the server so far."""
        return self._cpu_seconds + _cpu_seconds(self._of_all())

    @property
    def memory_bytes(self) -> int:
        return sum(each.memory_info().rss for each in self._of_all())

    def start(self) -> None:
        """Start the server in the main thread: the kernel ends it together with the thread that started it."""
        assert threading.current_thread() is threading.main_thread()
        command = [sys.executable, "-m", "ddpzero.cli", "serve", str(self._folder)]
        command += [f"serve.port={self._port}", "serve.min_plies=1", "serve.max_plies=100000"]
        command += ["serve.shard_seconds=5", "serve.requests_per_minute=1000000"]
        command += ["serve.address_requests_per_minute=1000000"]
        log = self._folder / LOG_FILE
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process = subprocess.Popen(with_parent(command), stderr=subprocess.DEVNULL)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, sorted(os.sched_getaffinity(0))[-1:])

    def wait_until_it_serves(self) -> None:
        """Wait until the server answers. Raises UserError, with its last words, if it does not."""
        assert self._process is not None
        log = self._folder / LOG_FILE
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            text = log.read_text()[self._log_start :] if log.exists() else ""
            if found := _ADDRESS.search(text):
                self.address, self._port = found[0], int(found[2])
                with suppress(httpx.HTTPError):
                    httpx.get(f"{self.address}{API_PATH}/statistics")
                    return
            time.sleep(0.1)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        self.stop()
        raise UserError(
            f"the server of the benchmark did not start: {lines[-1] if lines else 'it said nothing.'}"
        )

    def kill(self) -> None:
        """Kill the server and what it has started, without a warning."""
        of_all = self._of_all()
        self._cpu_seconds += _cpu_seconds(of_all)
        for each in of_all:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _of_all(self) -> list[psutil.Process]:
        assert self._process is not None
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]


async def _send(
    server: _Server, tokens: Sequence[str], batches: _Batches, seconds: float, num_kills: int
) -> Traffic:
    """Let contributors send batches for some seconds, while the server or some of them are killed num_kills times.

    Every batch that was begun is sent to its end.
    """
    traffic = Traffic()
    contributors = [_Contributor(server, token, batches, traffic) for token in tokens]
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        for contributor in contributors:
            contributor.start(client, until)
        for number in range(num_kills):
            await asyncio.sleep(seconds / (num_kills + 1))
            if number % 2:
                for contributor in random.sample(contributors, max(1, len(contributors) // 10)):
                    await contributor.kill()
                    contributor.start(client, until)
            else:
                await asyncio.to_thread(server.kill)
                server.start()
                await asyncio.to_thread(server.wait_until_it_serves)
        await asyncio.gather(*(contributor.task for contributor in contributors))
    return traffic


class _Contributor:
    """Sends a batch after the other, as often as it takes. A batch outlives the contributor, as on a disk."""

    def __init__(self, server: _Server, token: str, batches: _Batches, traffic: Traffic) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}"}
        self._batches = batches
        self._traffic = traffic
        self._waiting: tuple[str, bytes, int] | None = None
        self.task: asyncio.Task[None]

    def start(self, client: httpx.AsyncClient, until: float) -> None:
        self.task = asyncio.create_task(self._run(client, until))

    async def kill(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def _run(self, client: httpx.AsyncClient, until: float) -> None:
        number = 0
        while self._waiting is not None or time.monotonic() < until:
            try:
                if number % _LOOK_EVERY == 0:
                    where = f"{self._server.address}{API_PATH}/run"
                    await client.get(where, headers=self._headers)
                    self._traffic.requests += 1
                number += 1
                await self._send_batch(client)
            except httpx.HTTPError:
                self._traffic.failed += 1
                await asyncio.sleep(random.uniform(0.5, 1.5))

    async def _send_batch(self, client: httpx.AsyncClient) -> None:
        if self._waiting is None:
            content, num_forged = self._batches.make()
            self._waiting = random.randbytes(16).hex(), content, num_forged
        upload_id, content, num_forged = self._waiting
        traffic, started = self._traffic, time.monotonic()
        answer = await client.put(
            f"{self._server.address}{API_PATH}/games/{upload_id}",
            params={"model": _MODEL},
            content=content,
            headers=self._headers,
        )
        traffic.requests += 1
        if answer.status_code != 200:
            traffic.failed += 1
            await asyncio.sleep(1.0)
            return
        self._waiting = None
        found = answer.json()
        traffic.seconds.append(time.monotonic() - started)
        traffic.accepted_games += found["accepted"]
        traffic.forged_games += num_forged
        traffic.rejected_games += found["rejected"]
        traffic.sent_bytes += len(content)


def _stored(folder: Path) -> tuple[int, int]:
    """Return the number of games in the files of a server, and how many different ones they are."""
    hashes: list[str] = []
    for path in folder.glob("training_data/**/*.npz"):
        shard = read_shard(path)
        hashes += [hash_of(shard, episode) for episode in shard.episodes]
    return len(hashes), len(set(hashes))


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


def _database_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{DATABASE_FILE}*"))
