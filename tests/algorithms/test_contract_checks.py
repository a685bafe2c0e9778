"""`ddpzero verify algorithm`: sound plugins pass, and each violation of the contract is a sentence."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import pytest

from ddpzero.algorithms import contract_checks, contract_process
from ddpzero.algorithms.contract_checks import AlgorithmReport, check_algorithm
from ddpzero.cli.commands import main as ddpzero
from ddpzero.config.hydra import compose_settings
from ddpzero.system.source_files import module_name_of_source
from tests.places import REINFORCE

# Text of the example, what replaces it, and a part of the violation.
EDITS = {
    "episodes with another dtype": (
        "self.weights_version, np.int32",
        "self.weights_version, np.int64",
        "sample spec: sample field weights_version is int64[5]; its spec says int32[n].",
    ),
    "samples that say other weights": (
        "self.weights_version, np.int32",
        "0, np.int32",
        "weights_version is not that of the received weights",
    ),
    "values beyond their limits": (
        "returns[columns.pop",
        "2 * returns[columns.pop",
        "an actor plays episodes of the sample spec: sample field outcome holds ",
    ),
    "games without a seed": (
        "default_rng(round_seed)",
        "default_rng()",
        "two rounds with the same seed differ",
    ),
    "rounds that are too long": (
        "= np.random.default_rng(round_seed), num_episodes",
        "= np.random.default_rng(round_seed), num_episodes + 1",
        "rounds of 3 episodes return 4 and 4 episodes",
    ),
    "networks without a seed": (
        "        super().__init__()\n",
        "        super().__init__()\n        torch.seed()\n",
        "two networks 'network' made with the same seed differ",
    ),
    "networks in a list": (
        'return {"network": PolicyAndValue(self.game, self.settings.hidden)}',
        "return [PolicyAndValue(self.game, self.settings.hidden)]",
        "make_networks returns [PolicyAndValue(",
    ),
    "a metric without a group": (
        "losses/value",
        "value_loss",
        "the metric 'value_loss' is not named group/name",
    ),
    "a metric of the core": (
        "policy/entropy",
        "speed/entropy",
        "the metric speed/entropy is in a group that the core reserves (arena, collect, evaluator, judge, ",
    ),
    "a metric that is not finite": (
        '"policy/entropy": entropy',
        '"policy/entropy": entropy / 0',
        "the metric policy/entropy is inf; it must be finite",
    ),
    "a metric with dimensions": (
        '"losses/value": value_loss',
        '"losses/value": value[:2] * 0',
        "the metric losses/value is a tensor [2]; it must be a tensor without dimensions.",
    ),
    "chance that no state holds": (
        "loss = value_loss",
        "loss = torch.rand(()) * value_loss",
        "load_state(state()) continues bit by bit: the metrics of the next update differ",
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
    "a player without a name": (
        "    name: str\n    uses",
        "    uses",
        "a player with released weights chooses legal actions: the player lacks name.",
    ),
    "no make_player": ("def make_player", "def make_a_player", "returns lacks make_player: add"),
    "make_algorithm that exits": (
        'return Reinforce(game, sections["algorithm"])',
        "raise SystemExit(3)",
        "make_algorithm raises SystemExit: 3 (changed.py, line 30): fix the plugin.",
    ),
    "ignored of an unknown setting": (
        "GAME_KIND = Game",
        "GAME_KIND = Game\ndef ignored(settings, game): return {'learner.nosuch': 'unused'}",
        "check and ignored accept the settings: ignored names 'learner.nosuch', which is not",
    ),
    "an actor that exits": (
        "    def play(self):",
        "    def play(self):\n        raise SystemExit(0)",
        "an actor plays episodes of the sample spec: SystemExit: 0 (raised in changed.py, line 128).",
    ),
    "an actor without take_metrics": (
        "def take_metrics",
        "def take",
        "the actor lacks take_metrics.",
    ),
    "an actor that returns None": (
        "return [self.episode(self.game",
        "[self.episode(self.game",
        "play returns None, not a list of Episode.",
    ),
    "an actor that cannot be pickled": (
        '{"game": self.game.arguments,',
        '{"f": lambda: 1, "game": self.game.arguments,',
        "the arguments of actor_spec cannot be pickled (AttributeError: Can't pickle",
    ),
    "infos that are not JSON": (
        '{"num_plies": len(plies)}',
        '{"num_plies": {1}}',
        "sample spec: the episode's info {'num_plies': {1}} is not JSON: Object of type set",
    ),
    "counts of the core": (
        "return {}",
        "return {'updates': 1e6}",
        "the core has its own count updates: rename it",
    ),
    "counts with a slash": (
        "return {}",
        "return {'a/b': 1}",
        "the count 'a/b' must be named with letters, digits and '_'.",
    ),
    "counts that are text": ("return {}", "return {'a': 'b'}", "the count a is 'b', not a number."),
    "no counts": ("return {}", "return None", "take_metrics returns None, not a dict."),
}
# A method of the algorithm that the example lacks, and a part of the violation.
METHODS = {
    "def model_tag(self): return 'a/b c'": "model_tag returns 'a/b c'; file names contain it",
    "def model_tag(self): return None": "model_tag returns None; file names contain it",
    "def fits(self, game): return 1": "fits returns 1, neither True nor False.",
    "def memory_needs(self, *a, **k): return [3]": "memory_needs returns [3], not a list of Need.",
    "def memory_needs(self, *a, **k): raise KeyError(1)": "KeyError: 1 (raised in changed.py, line",
    "def summarize_episodes(self, infos): return {'a/b': 1 / len(infos)}": "ZeroDivisionError: ",
    "def summarize_episodes(self, infos): return {'time/x': 1}": "the metric time/x is in a group",
    "def summarize_episodes(self, infos): return {'a/b': 'c'}": "metric a/b is 'c', not a number.",
    "def summary_line(self, metrics): return 3": "summary_line returns 3, not text.",
    "def can_show(self, info): return True\n    def describe_episode(self, info): return 3": (
        "describe_episode returns 3, not text."
    ),
    "def can_show(self, info): return True\n    def film_episode(self, info): return [np.ones(3)]": (
        "film_episode must return images [height, width, 3] uint8."
    ),
}
# A method of the updater that replaces the one of NetworkUpdater, and a part of the violation.
UPDATERS = {
    "def update(self, batch, rate): return None": "the metrics are None, not a dict.",
    "def update(self, batch, rate): return {}": "the metrics of update 1 lack losses/total.",
    "def update(self, batch, rate): return super().update(batch, 0.0)": (
        "the released weights are the same after 8 updates."
    ),
    "def is_trainable(self, batch): return False": "it returns False after updates with finite",
    "def is_trainable(self, batch): self._trained.num_updates += 1; return True": (
        "is_trainable accepts a batch and changes nothing: it changes the state of the updater."
    ),
    "def evaluate(self, batch): self._trained.num_updates += 1; return {}": (
        "evaluate returns metrics of held-out samples and changes nothing: it changes the state"
    ),
    "def evaluate(self, batch): return {'losses/total': torch.zeros(())}": (
        "the metric losses/total of evaluate is not named holdout/name."
    ),
    "def skipped_in_a_row(self): return 1": "skipped_in_a_row returns 1 after updates with finite",
    "def count_results(self, infos): return {f'n{len(infos)}': 1}": "keys of count_results change",
    "def count_results(self, infos): return {'n': 1}\n    def apply_results(self, c): return {'x': 1}": (
        "results of episodes become counts and metrics: the metric 'x' is not named group/name."
    ),
    "def count_results(self, infos): return {'n': 1}\n    def apply_results(self, c): return 1 / 0": (
        "ZeroDivisionError: division by zero (raised in changed.py, line"
    ),
    "def load_state(self, state): super().load_state(state)": "load_state returns None, not a list",
    "def load_state(self, state): return [*super().load_state(state), 'x']": (
        "load_state warns about the updater's own state: 'x'."
    ),
    "def load_state(self, state): return []": "load_state refuses an unusable state: it accepts {}.",
    (
        "def load_state(self, state):\n"
        "        warnings = super().load_state(state)\n"
        "        for value in self._trained.average.values.values(): value.add_(1)\n"
        "        return warnings"
    ): "the released weights differ after the next update.",
    "def state(self): return {**super().state(), 'module': torch}": (
        "state() cannot be saved (TypeError: cannot pickle 'module' object): return nested dicts"
    ),
    "def state(self): return {**super().state(), 'module': np.random.default_rng}": (
        "state() cannot be loaded (UnpicklingError: Weights only load failed."
    ),
    "def start_from(self, weights): pass": "the released weights differ from the given ones.",
    (
        "def actor_weights(self):\n"
        "        self.calls = getattr(self, 'calls', 0) + 1\n"
        "        return {**self.released_weights(), f'x{self.calls}': torch.zeros(1)}\n"
    ): "RuntimeError: Error(s) in loading state_dict",
}
EDITS |= {
    method: ("    def sample_spec", f"    {method}\n\n    def sample_spec", sentence)
    for method, sentence in METHODS.items()
}
EDITS |= {
    method: (
        "        return NetworkUpdater(",
        f"        class Changed(NetworkUpdater):\n            {method.replace(chr(10), chr(10) + 8 * ' ')}\n"
        "        return Changed(",
        sentence,
    )
    for method, sentence in UPDATERS.items()
}


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes settings of the example with one piece of its text replaced."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def change(old: str, new: str):
        text = REINFORCE.read_text()
        assert old in text
        file = tmp_path / "changed.py"
        file.write_text(text.replace(old, new, 1))
        overrides = ["algorithm=own", f"algorithm.source={file}", "algorithm.hidden=8"]
        return compose_settings([*overrides, "game=tic_tac_toe"])

    yield change
    del sys.modules[module_name_of_source(tmp_path / "changed.py")]


@pytest.mark.parametrize("kind", EDITS)
def test_each_violation_is_a_sentence(kind: str, changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_checks, "released_at_two_ranks", lambda *_: [{}, {}])
    old, new, sentence = EDITS[kind]
    report = check_algorithm(changed(old, new))
    assert sentence in "\n".join(report.violations)


def test_gradients_that_are_not_averaged_over_ranks_are_told(changed) -> None:
    report = check_algorithm(
        changed('networks["network"], wrap,', 'networks["network"], lambda m: m,')
    )
    (violation,) = report.violations
    assert violation.startswith("two ranks hold equal weights after updates: they differ")


def test_the_example_keeps_the_contract_and_the_command_says_so(capsys) -> None:
    words = ["verify", "algorithm", str(REINFORCE), "--game", "tic_tac_toe", "algorithm.hidden=8"]
    assert ddpzero(words) == 0
    assert "20 of 20 promises kept" in capsys.readouterr().out


def test_a_plugin_that_ends_the_process_of_the_check_violates_the_contract(
    changed, tmp_path: Path, capsys
) -> None:
    changed("    def play(self):", "    def play(self):\n        import os; os._exit(0)")
    words = ["verify", "algorithm", str(tmp_path / "changed.py"), "--game", "tic_tac_toe"]
    assert ddpzero(words) == 1
    assert (
        "violation: an actor plays episodes of the sample spec: the plugin ends the process (exit code 0, as by "
        "os._exit)."
    ) in capsys.readouterr().out


def test_a_promise_that_takes_too_long_violates_the_contract(changed) -> None:
    settings = changed("hidden", "hidden")
    process = multiprocessing.Process()
    # The process has begun a promise and sends nothing more.
    reader, writer = multiprocessing.Pipe(duplex=False)
    writer.send(AlgorithmReport("mine", "tic_tac_toe", ["an actor plays"]))
    report = contract_process._report_of(process, reader, settings, promise_seconds=0.01)
    assert report.violations == ["an actor plays: it does not end within 0.01 seconds."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alphazero", ["game=tic_tac_toe", "network.blocks=1", "search.num_simulations=8"]),
        ("ddpg", ["game=snakes", "network.width=16"]),
    ],
)
def test_the_plugins_of_the_package_keep_the_contract(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Their updaters' own tests train on two ranks.
    monkeypatch.setattr(contract_checks, "released_at_two_ranks", lambda *_: [{}, {}])
    report = check_algorithm(compose_settings([f"algorithm={name}", *words]))
    assert report.violations == []
    assert len(report.checked) == 20
