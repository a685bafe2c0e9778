"""The order of the checks before a training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from ddpzero.algorithms import loader
from ddpzero.config.hydra import compose_settings
from ddpzero.run.ranks import Ranks
from ddpzero.system.errors import UserError
from ddpzero.training import preflight
from ddpzero.training.preflight import check_machine
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
