"""Runs to play against, and pages that are served from this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import uvicorn

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.folder import config_text
from ddpzero.run.models import save_model
from ddpzero.web.agents import Catalog
from ddpzero.web.server import Page, make_app
from tests.waiting import wait_for

SIZE = ("network.blocks=1", "network.channels=8", "network.value_head=dense")


def make_run(folder: Path, *overrides: str, num_models: int = 2) -> Path:
    """A run with models of the minutes 1, 2, ..., whose networks have random weights."""
    settings = compose_settings([*overrides, *SIZE])
    config = config_text(settings_to_dict(settings)).encode()
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_bytes(config)
    for number in range(1, num_models + 1):
        torch.manual_seed(number)
        network = load_algorithm(settings).make_networks()["network"]
        counters = {"learner_step": number, "minutes": float(number), "episodes": 100 * number}
        weights = weights_to_bytes(network.state_dict())
        save_model(folder, f"model-{number}", weights, config, counters)
    return folder


def make_page(
    *runs: Path, max_sessions: int = 16, max_simulations: int = 200, token: str | None = None
) -> tuple[Page, uvicorn.Config]:
    page = Page(Catalog([str(run) for run in runs]), max_sessions, max_simulations)
    app = make_app(page, token, 0)
    config = uvicorn.Config(
        app, ws="websockets-sansio", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    return page, config


@dataclass(frozen=True)
class Served:
    """A page that can be reached at `address`."""

    page: Page
    address: str


@contextmanager
def serving(*runs: Path, **options: int) -> Iterator[Served]:
    """Serve a page from a thread of this process."""
    page, config = make_page(*runs, **options)  # type: ignore[arg-type]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield Served(page, f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        page.close()
        server.should_exit = True
        thread.join()
        listening.close()
