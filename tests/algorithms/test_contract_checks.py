"""`ddpzero verify algorithm`: sound plugins pass, and each kind of break is told in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ddpzero.algorithms import contract_checks
from ddpzero.algorithms.contract_checks import check_algorithm
from ddpzero.cli.commands import main as ddpzero
from ddpzero.config.hydra import compose_settings
from ddpzero.system.source_files import module_name_of_source
from tests.places import REINFORCE

BREAKS = {
    "episodes with another dtype": (
        "self.weights_version, np.int32",
        "self.weights_version, np.int64",
        "an actor plays episodes of the sample spec: ValueError",
    ),
    "samples that say other weights": (
        "self.weights_version, np.int32",
        "0, np.int32",
        "weights_version is not that of the weights received",
    ),
    "values beyond their limits": (
        "returns[columns.pop",
        "2 * returns[columns.pop",
        "an actor plays episodes of the sample spec: ValueError",
    ),
    "games without a seed": (
        "default_rng(round_seed)",
        "default_rng()",
        "two rounds with one seed differ",
    ),
    "networks without a seed": (
        "        super().__init__()\n",
        "        super().__init__()\n        torch.seed()\n",
        "two networks 'network' made with one seed differ",
    ),
    "a metric without a group": (
        "losses/value",
        "value_loss",
        "the metric 'value_loss' is not named group/name",
    ),
    "a metric of the core": (
        "policy/entropy",
        "speed/entropy",
        "the metric speed/entropy stands in a group of the core",
    ),
    "a metric that is not finite": (
        '"policy/entropy": entropy',
        '"policy/entropy": entropy / 0',
        "the metric policy/entropy is inf",
    ),
    "chance that no state holds": (
        "loss = value_loss",
        "loss = torch.rand(()) * value_loss",
        "load_state(state()) continues bit by bit: the next update's metrics differ",
    ),
    "a player that breaks the rules": (
        "[2].argmax",
        "[2].argmin",
        "a player with released weights chooses legal actions: one of its actions is not legal",
    ),
    "a player that accepts anything": (
        'device="cpu"):',
        'device="cpu", **others):',
        "it accepts no_such_override=1",
    ),
}


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes settings of the example with one piece of its text replaced."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def change(old: str, new: str):
        text = REINFORCE.read_text()
        assert old in text
        file = tmp_path / "changed.py"
        file.write_text(text.replace(old, new))
        overrides = ["algorithm=own", f"algorithm.source={file}", "algorithm.hidden=8"]
        return compose_settings([*overrides, "game=tic_tac_toe"])

    yield change
    del sys.modules[module_name_of_source(tmp_path / "changed.py")]


@pytest.mark.parametrize("kind", BREAKS)
def test_each_kind_of_break_is_told(kind: str, changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_checks, "released_at_two_ranks", lambda *_: [{}, {}])
    old, new, sentence = BREAKS[kind]
    report = check_algorithm(changed(old, new))
    assert any(sentence in violation for violation in report.violations), report.violations


def test_gradients_that_are_not_averaged_over_ranks_are_told(changed) -> None:
    report = check_algorithm(
        changed('networks["network"], wrap,', 'networks["network"], lambda m: m,')
    )
    (violation,) = report.violations
    assert violation.startswith("two ranks hold equal weights after updates: they differ")


def test_the_example_keeps_the_contract_and_the_command_says_so(capsys) -> None:
    words = ["verify", "algorithm", str(REINFORCE), "--game", "tic_tac_toe", "algorithm.hidden=8"]
    assert ddpzero(words) == 0
    assert "14 of 14 promises kept" in capsys.readouterr().out


def test_a_broken_plugin_ends_the_command_with_code_1(changed, tmp_path, capsys) -> None:
    changed("self.weights_version, np.int32", "0, np.int32")
    words = ["verify", "algorithm", str(tmp_path / "changed.py"), "--game", "tic_tac_toe"]
    assert ddpzero(words) == 1
    assert "violation: an actor plays episodes of the sample spec" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [
            "ddpzero.algorithms.alphazero",
            "--game",
            "tic_tac_toe",
            "network.blocks=1",
            "search.num_simulations=8",
        ],
        ["ddpzero.algorithms.ddpg", "--game", "snakes", "network.width=16"],
    ],
    ids=["alphazero", "ddpg"],
)
def test_the_plugins_of_the_package_keep_the_contract(
    words: list[str], capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their updaters' own tests train on two ranks.
    monkeypatch.setattr(contract_checks, "released_at_two_ranks", lambda *_: [{}, {}])
    assert ddpzero(["verify", "algorithm", *words]) == 0
    assert "no violations" in capsys.readouterr().out
