"""What a server's config may demand of a contributor's memory."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from ddpzero.contribute import local_actors, memory
from ddpzero.contribute.local_actors import LocalActors
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.remote.contributed import contributed_config
from ddpzero.system.errors import UserError
from ddpzero.system.machine import Memory
from tests.serve.material import material

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with 10 GiB of free memory, on which no actor can start."""
    monkeypatch.setattr(memory, "usable_memory", lambda: Memory(20 * GIB, 10 * GIB))
    monkeypatch.setattr(local_actors, "make_pool", start)


class Started(Exception):
    """Actors would have been started."""


def start(*_: Any) -> None:
    raise Started


def play(folder, group: str, key: str, value: object, **own: Any) -> None:
    """Play with a model whose config has this value."""
    model = material().model
    config = copy.deepcopy(model.config)
    config[group][key] = value
    settings = ContributeSettings(server="http://x", device="cpu", num_actors=4, **own)
    with LocalActors(settings, folder) as actors:
        actors.play_with(replace(model, config=config))


@pytest.mark.parametrize(
    "group, key, value",
    [
        ("search", "num_simulations", 10**9),
        ("search", "leaves_per_round", 10**9),
        ("algorithm", "final_num_simulations", 10**9),
        ("algorithm", "evaluation_cache_megabytes", 1e9),
    ],
)
def test_a_config_that_needs_too_much_memory_is_refused_before_an_actor_starts(
    tmp_path, group, key, value
):
    with pytest.raises(UserError) as caught:
        play(tmp_path, group, key, value)
    sentence = str(caught.value)
    assert f"{group}.{key}={value if isinstance(value, int) else '1e+09'}: " in sentence
    assert (
        "not even one game at a time fits, so ask the server's operator" in sentence
        and "is 9 GiB" in sentence
    )
    assert "\n" not in sentence and len(sentence) < 400


def test_what_a_contributor_can_lower_is_said(tmp_path):
    with pytest.raises(UserError, match="lower num_actors or num_games"):
        play(tmp_path, "actors", "num_games", 10**7)
    # The contributor's own number counts.
    with pytest.raises(Started):
        play(tmp_path, "actors", "num_games", 10**7, num_games=8)


def test_the_limit_of_a_contributor_counts_if_it_is_the_smaller_one(tmp_path):
    with pytest.raises(Started):
        play(tmp_path, "search", "num_simulations", 4, max_memory_gib=1.0)
    with pytest.raises(UserError, match=r"max_memory_gib is 0\.001 GiB: .* so raise max_mem"):
        play(tmp_path, "search", "num_simulations", 4, max_memory_gib=0.001)
    with pytest.raises(UserError, match="nine tenths of the free memory is 9 GiB"):
        play(tmp_path, "search", "num_simulations", 10**9, max_memory_gib=1000.0)


@pytest.mark.parametrize("value", [10**30, 10**400, float("inf"), float("nan"), "x", None, -1])
def test_no_number_of_simulations_is_more_than_a_sentence(value):
    config = copy.deepcopy(material().model.config)
    config["search"]["num_simulations"] = value
    with pytest.raises(UserError):
        contributed_config(config)
