"""Every setting with every kind of bad value: it is fine, or one sentence names it before anything is created."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ddpzero.config.conversion import settings_from_dict, settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError
from ddpzero.system.machine import Memory
from ddpzero.training.preflight import check_run_memory

CPU = torch.device("cpu")
MACHINE = Memory(limit_bytes=8 * 2**30, free_bytes=6 * 2**30)
SIZES = ["device=cpu", "actors.num_actors=1", "actors.num_games=8", "replay.capacity=4000"]
SIZES += ["replay.min_samples=200", "learner.batch_size=32"]
BASES = {
    "gumbel": ["game=tic_tac_toe", "network.growth=[{after_step:9,blocks:8}]", *SIZES],
    "puct": ["game=gomoku", "game.size=5", "search=puct", "network=attention", *SIZES],
    "go": ["game=go", "curriculum=go", "game.size=19", *SIZES],
    "snakes": ["+experiment=snakes", *SIZES],
    "planes": ["+experiment=snakes_planes", "opponent=linear", *SIZES],
}
VALUES = [
    *(0, -1, 1, 10**9, 10**18, 10**26, -(10**26), 0.5, -0.5, 1e-300, 5e-324, 1e30, 1e300),
    *(
        float("nan"),
        float("inf"),
        -float("inf"),
        "",
        "word",
        "3",
        "a" * 300,
        None,
        True,
        [],
        [1],
        {},
    ),
    {"a": 1},
]
CONFIGS = {name: settings_to_dict(compose_settings(base)) for name, base in BASES.items()}


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values, and of all groups and lists, too."""
    if path:
        yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))


def dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)[1:]


def places() -> list[Any]:
    """Each place once: what several bases share is tried with the first."""
    seen: dict[str, Any] = {}
    for base, config in CONFIGS.items():
        for path in leaves(config):
            seen.setdefault(
                f"{dotted(path)}", pytest.param(base, path, id=f"{base}-{dotted(path)}")
            )
    return list(seen.values())


def check(config: dict[str, Any]) -> None:
    settings = settings_from_dict(config)
    check_run_memory(settings, settings.actors.num_actors or 1, CPU, CPU, 1, MACHINE)


@pytest.mark.parametrize(("base", "path"), places())
def test_a_bad_value_is_told_in_one_sentence_with_its_place(base, path):
    for value in VALUES:
        config = copy.deepcopy(CONFIGS[base])
        group: Any = config
        for part in path[:-1]:
            group = group[part]
        group[path[-1]] = value
        try:
            check(config)
        except (UserError, ValueError) as error:
            sentence = str(error)
            assert "\n" not in sentence, (value, sentence)
            assert len(sentence) < 1000, (value, sentence)
            assert str(path[-1]) in sentence, (value, sentence)
