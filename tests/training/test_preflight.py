"""The order of the checks before a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from ddpzero.algorithms import loader
from ddpzero.config.hydra import compose_settings
from ddpzero.run.ranks import Ranks
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.training import preflight
from ddpzero.training.preflight import (
    check_arena,
    check_machine,
    run_needs,
    without_impossible_matches,
)
from tests.places import OWN_GAMES


def test_the_contract_of_an_own_game_is_checked_before_the_algorithm_compiles_its_kernels(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def require_contract(arguments: dict[str, Any]) -> None:
        raise UserError(f"game {arguments['name']} breaks its contract.")

    def load_algorithm(*_: Any) -> None:
        raise AssertionError("the kernels are compiled")

    monkeypatch.setattr(loader, "require_contract", require_contract)
    monkeypatch.setattr(preflight, "load_algorithm", load_algorithm)
    game = ["game=tic_tac_toe", "game.name=take", f"game.source={OWN_GAMES / 'take.py'}"]
    with pytest.raises(UserError, match=r"game take breaks its contract\."):
        check_machine(compose_settings([*game, "device=cpu"]), tmp_path, alone)


WRONG_RESULTS = {
    "sample_spec": ({"observation": 3}, "which is not a dict of name to Field: fix the plugin."),
    "memory_needs": ([3], "which is not a list of Need: fix the plugin."),
}


@pytest.mark.parametrize("method", WRONG_RESULTS)
def test_a_method_of_a_plugin_that_returns_something_else_or_raises_is_one_sentence(
    method: str, tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = compose_settings(["game=tic_tac_toe", "device=cpu"])
    key = "algorithm.plugin=ddpzero.algorithms.alphazero: "
    wrong, end = WRONG_RESULTS[method]
    for result, sentence in (
        (lambda *_: wrong, f"{key}{method} returns {wrong!r}, {end}"),
        (lambda *_: 1 // 0, f"{key}{method} raises ZeroDivisionError: "),
    ):
        algorithm = SimpleNamespace(**{"sample_spec": dict, method: result})
        monkeypatch.setattr(preflight, "load_algorithm", Mock(return_value=algorithm))
        with pytest.raises(UserError) as caught:
            check_machine(settings, tmp_path, alone)
        assert str(caught.value).startswith(sentence)


SNAKES = "+experiment=snakes"
ARENA_MISTAKES = {
    "arena.opponents=[rollout:1O0]": ["game=tic_tac_toe"],
    "arena.num_simulations=7": [SNAKES],
}


@pytest.mark.parametrize("mistake", ARENA_MISTAKES)
def test_players_that_the_arena_could_not_make_are_refused_before_the_training(
    mistake: str, tmp_path: Path, alone: Ranks
) -> None:
    words = [*ARENA_MISTAKES[mistake], "device=cpu", mistake]
    with pytest.raises(UserError) as caught:
        check_machine(compose_settings(words), tmp_path, alone)
    assert str(caught.value).startswith(mistake)
    check_arena(compose_settings([*words, "arena.num_workers=0"]), tmp_path)


def with_three_teams(*words: str) -> Settings:
    """Settings as of a plugin that plays with three teams, which DDPG refuses."""
    settings = compose_settings([SNAKES, *words])
    parameters = {**settings.game.parameters, "teams": 3}
    return replace(settings, game=replace(settings.game, parameters=parameters))


def test_a_game_of_three_teams_has_no_arena_and_a_notice_says_so() -> None:
    settings, notices = without_impossible_matches(with_three_teams())
    assert settings.arena.num_workers == 0
    assert notices == [
        "game=snakes: a match is between two players, and here are 3 teams, so the arena plays no matches."
    ]
    two = compose_settings([SNAKES])
    assert without_impossible_matches(two) == (two, [])


def test_a_rule_of_release_that_needs_matches_of_three_teams_is_refused() -> None:
    settings = with_three_teams("release.rule=gate")
    with pytest.raises(UserError, match=r"^release\.rule=gate needs matches, .* 3 teams"):
        without_impossible_matches(settings)


def test_the_memory_of_the_arenas_workers_counts_on_the_machine_and_on_the_actors_gpu() -> None:
    settings = compose_settings(["game=tic_tac_toe"])
    algorithm = loader.load_algorithm(settings)

    def size_bytes(num_workers: int, actors_on_gpu: bool, on_gpu: bool) -> int:
        needs = run_needs(settings, algorithm, 1, True, actors_on_gpu, num_workers)
        return sum(need.size_bytes for need in needs if need.on_gpu == on_gpu)

    for actors_on_gpu, on_gpu, is_counted in (
        (True, True, True),
        (False, True, False),
        (False, False, True),
    ):
        none, two = (size_bytes(number, actors_on_gpu, on_gpu) for number in (0, 2))
        assert (two > none) == is_counted
