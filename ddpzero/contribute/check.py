"""Runs `ddpzero contribute --check`: connection, token, model, device, and one game."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ddpzero.actors import WeightsChannel
from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_from_dict
from ddpzero.contribute.local_actors import choose_device, make_pool, with_own_actors
from ddpzero.contribute.memory import require_room
from ddpzero.contribute.models import DownloadedModels
from ddpzero.contribute.run import check_run
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.remote.client import Server, ServerUnavailable, read_token
from ddpzero.remote.contributed import contributed_config
from ddpzero.system.errors import UserError, require
from ddpzero.system.guarded_files import printable

_Result = TypeVar("_Result")

_MAX_SECONDS = 600.0


def run_check(settings: ContributeSettings) -> None:
    """Check everything that a contribution needs, with a line for each; nothing is uploaded. Raises UserError."""
    assert settings.server is not None
    token = settings.token or read_token(settings.token_file, "token_file")
    server = Server(settings.server, token)
    try:
        # A server answers nobody whose token is unknown.
        information = _step("server, token", lambda: _reached(server.run))
        _step("rules", lambda: check_run(server.url, information))
        device = _step("device", lambda: choose_device(settings))
        newest = information.newest
        require(newest is not None, f"{server.url} has no model yet: try again later.")
        assert newest is not None
        with tempfile.TemporaryDirectory(prefix="ddpzero-check-") as folder:
            models = DownloadedModels(Path(folder))
            model = _step("model", lambda: _reached(lambda: models.fetch(server, newest)))
            config = settings_from_dict(contributed_config(model.config))
            wanted = with_own_actors(config, settings)
            _step(
                "memory",
                lambda: require_room(
                    load_algorithm(wanted), wanted, settings, device.startswith("cuda")
                ),
            )
            own = replace(config, actors=replace(config.actors, num_actors=1, num_games=1))
            algorithm = load_algorithm(own)

            def play() -> int:
                until = time.monotonic() + _MAX_SECONDS
                with (
                    WeightsChannel(model.actor_weights) as channel,
                    make_pool(algorithm, own, channel, device, Path(folder)) as pool,
                ):
                    channel.publish(model.actor_weights, model.weights_version)
                    while time.monotonic() < until:
                        if episodes := pool.poll(1.0):
                            return episodes[0].num_samples
                raise UserError(f"no game was finished within {_MAX_SECONDS:.0f} seconds.")

            _step("one game", play)
    finally:
        server.close()
    print(
        f"All is well: `ddpzero contribute {server.url}` can begin. Games are played on {device}, "
        f"for the run {printable(information.run[:80])}, with {newest.name}."
    )


def _step(name: str, do: Callable[[], _Result]) -> _Result:
    """Do one step and say that it succeeded."""
    started = time.perf_counter()
    result = do()
    print(f"{name:13} ok  ({time.perf_counter() - started:.1f} s)", flush=True)
    return result


def _reached(request: Callable[[], _Result]) -> _Result:
    try:
        return request()
    except ServerUnavailable as error:
        raise UserError(f"{error}; try again later.") from None
