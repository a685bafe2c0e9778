"""Errors of Hydra, OmegaConf and YAML become one sentence with the path, the value and the remedy."""

from __future__ import annotations

import pytest

from ddpzero.config.explanations import explain
from ddpzero.config.hydra import compose_game, compose_settings
from ddpzero.system.errors import UserError
from tests.config.mistakes import check_sentence

# What a user types, and what the sentence must contain.
MISTAKES = {
    "a typo in a key": (["learner.lerning_rate=0.1"], ["learner.lerning_rate=0.1", "learner.learning_rate"]),
    "a typo in a group": (["learer.batch_size=64"], ["learer", "Did you mean learner?"]),
    "an unknown game": (["game=conect_four"], ["game=conect_four", "Did you mean game=connect_four?"]),
    "an unknown experiment": (["+experiment=quik"], ["experiment=quik", "experiment=quick"]),
    "a typo in a network": (["network=ddpg/mpl"], ["network=ddpg/mpl does not exist", "mean network=ddpg/mlp?"]),
    "a typo in a search": (["search=pukt"], ["search=pukt does not exist", "The options are gumbel, puct;"]),
    "a typo in a preset": (["+experiment=quik"], ["+experiment=quik does not exist", "mean +experiment=quick?"]),
    "a group of another algorithm": (
        ["algorithm=ddpg", "game=snakes", "search=puct"],
        ["search=puct: the algorithm of this config reads no group search", "alphazero"],
    ),
    "a home without quotes": (["runs_dir=~/x"], ["runs_dir=~/x", """runs_dir='"~/x"'""", "runs_dir=$HOME/x"]),
    "letters that Hydra cannot read": (["game=é"], ["game=é: Hydra needs quotes", """'game="é"'."""]),
    "an equals sign in a path": (
        ["algorithm=own", "algorithm.source=odd/a=b.py"],
        ["algorithm.source=odd/a=b.py: Hydra needs quotes", """'algorithm.source="odd/a=b.py"'."""],
    ),
    "a bracket that stays open": (["seed=[1"], ["seed=[1: Hydra cannot read this", "close every bracket"]),
    "a key that Hydra cannot read": (["ké=1"], ["ké=1: Hydra cannot read this", "only ASCII letters"]),
    "a line break": (["seed=\n"], ["seed=", "key=value"]),
    "a number for a group": (["network=-.5"], ["network=-.5 gives a value to a group", "game=connect_four"]),
    "null for a group": (["game=null"], ["game=null gives a value to a group"]),
    "a preset without plus": (["experiment=quick"], ["experiment=quick", "+experiment=quick"]),
    "a group with plus": (["+game=gomoku"], ["+game=gomoku", "without the plus, game=gomoku"]),
    "a broken interpolation": (["run_name=${game.nam}"], ["run_name", "game.nam", "${...}"]),
    "a missing value": (["run_name=???"], ["run_name", "has no value", "run_name=..."]),
    "no equals sign": (["learner.batch_size"], ["learner.batch_size", "key=value"]),
    "a bare name": (
        ["tic_tac_toe"],
        ["tic_tac_toe: there is no = in it", "mean game=tic_tac_toe or +experiment=tic_tac_toe?"],
    ),
    "a bare name with a typo": (["quik"], ["quik: there is no = in it", "mean +experiment=quick?"]),
    "several values": (["seed=1,2"], ["seed=1,2", "--multirun"]),
    "a key of the other search": (
        ["search=gumbel", "search.c_puct=2"],
        ["search.c_puct=2", "max_considered_actions"],
    ),
    "a parameter of another game": (["game.size=9"], ["game.size=9", "rows, columns, line"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_path_value_and_remedy(mistake):
    check_sentence(*MISTAKES[mistake])


def test_a_disk_that_is_full_while_hydra_writes_is_one_sentence():
    sentence = explain(OSError(28, "No space left on device"))
    assert sentence is not None
    assert sentence.startswith(
        "the output or a file of Hydra: No space left on device. Folders that Hydra is "
    )


UNREADABLE = {
    "no yaml": (b"name: [a\n  b: {", "bad.yaml, line 2: this is not valid YAML"),
    "a key twice": (
        b"name: x\nname: y\n",
        "bad.yaml, line 2: this is not valid YAML (found duplicate key name)",
    ),
    "binary": (b"\x00\x01", "bad.yaml: this is not UTF-8 text"),
    "latin-1": (b"# \xe4\n", "bad.yaml: this is not UTF-8 text"),
    "a list": (b"- a\n- b\n", "game=[a,b] is not a group of keys"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_of_a_game_that_is_no_yaml_is_named(kind, tmp_path):
    content, sentence = UNREADABLE[kind]
    (tmp_path / "game").mkdir()
    (tmp_path / "game" / "bad.yaml").write_bytes(content)
    for compose in (compose_settings, compose_game):
        with pytest.raises(UserError) as caught:
            compose(["game=bad"], str(tmp_path))
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_config_dir_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="--config-dir /nowhere is not a folder: name one that"):
        compose_settings([], config_dir="/nowhere")
