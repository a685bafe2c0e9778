"""`ddpzero grow`: a larger model with the same function, for players and init_from; nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.arena.agents import load_agent
from ddpzero.cli import commands as cli
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.run.checkpoint import weights_to_bytes
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.checkpoint_files import read_manifest
from ddpzero.run.folder import config_text
from ddpzero.run.models import write_model

SIZE = ("network.blocks=2", "network.channels=8", "network.value_head=dense")
GROWTH = "network.growth=[{after_step: 5, blocks: 3}, {after_step: 9, channels: 12}]"


def written_model(folder: Path, *overrides: str) -> Path:
    """A model with random weights."""
    settings = compose_settings(["game=tic_tac_toe", *SIZE, *overrides])
    torch.manual_seed(0)
    network = load_algorithm(settings).make_networks()["network"]
    with torch.no_grad():
        # Otherwise blocks would be the identity.
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    config = config_text(settings_to_dict(settings)).encode()
    weights = weights_to_bytes(network.state_dict())
    return write_model(folder / "small", weights, config, {"learner_step": 7})


def test_a_grown_model_plays_the_same_moves_and_names_its_origin(tmp_path: Path, capsys):
    small, output = written_model(tmp_path), tmp_path / "runs" / "larger"
    words = ["network.blocks=4", "network.channels=12"]
    assert cli.main(["grow", str(small), *words, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert "small: the network grew from 2x8 to 4x12: outputs " in printed
    assert f"init_from={output} network.blocks=4 network.channels=12" in printed
    manifest = read_manifest(output)
    assert (manifest.model, manifest.grown_from) == ("larger", "small")
    assert manifest.counters == {"learner_step": 7}
    network = yaml.safe_load((output / "config.yaml").read_text())["network"]
    assert (network["blocks"], network["channels"], network["growth"]) == (4, 12, [])
    before, after = (load_agent(folder) for folder in (small, output))
    rng = np.random.default_rng(0)
    positions = before.game.random_positions(20, rng)
    moves = [a.make_player(num_simulations=8).choose(positions, rng) for a in (before, after)]
    np.testing.assert_array_equal(*moves)


def test_a_model_of_a_run_that_grew_goes_on_from_its_own_size(tmp_path: Path, capsys):
    grown = written_model(tmp_path, "network.blocks=3")
    config = yaml.safe_load((grown / "config.yaml").read_text())
    later = settings_to_dict(compose_settings(["game=tic_tac_toe", *SIZE, GROWTH]))
    weights = weights_to_bytes(load_weights(grown).weights)
    model = write_model(
        tmp_path / "later", weights, config_text(later).encode(), {"learner_step": 7}
    )
    assert config["network"]["blocks"] == 3
    assert later["network"]["blocks"] == 2
    output = tmp_path / "larger"
    assert cli.main(["grow", str(model), "network.channels=16", "--output", str(output)]) == 0
    assert "from 3x8 to 3x16" in capsys.readouterr().out
    assert load_agent(model).make_player().name == "later"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["network.blocks=1"], "network.blocks=1 is below 2: a network can only grow."),
        (["network.blocks=2"], "make one of them larger"),
        (["network.blocks=x"], "network.blocks=x must be a whole number from 1 on."),
        (["network.blocks=100000"], "must be at most 1000"),
        ([], "nothing is to grow: give network.blocks or network.channels."),
    ],
)
def test_an_impossible_growth_is_refused_and_writes_nothing(words, told, tmp_path: Path, capsys):
    small, output = written_model(tmp_path), tmp_path / "larger"
    assert cli.main(["grow", str(small), *words, "--output", str(output)]) == 2
    assert told in capsys.readouterr().err
    assert not output.exists()


def test_nothing_is_overwritten(tmp_path: Path, capsys):
    small = written_model(tmp_path)
    before = (small / "manifest.json").read_bytes()
    assert cli.main(["grow", str(small), "network.blocks=3", "--output", str(small)]) == 2
    assert "exists already: name another folder" in capsys.readouterr().err
    assert (small / "manifest.json").read_bytes() == before


def test_networks_of_ddpg_cannot_grow(tmp_path: Path, capsys):
    settings = compose_settings(["+experiment=snakes", "network.width=8"])
    config = config_text(settings_to_dict(settings)).encode()
    weights = weights_to_bytes({"actor.x": torch.zeros(1)})
    model = write_model(tmp_path / "snakes", weights, config, {"learner_step": 1})
    words = ["network.blocks=3", "--output", str(tmp_path / "larger")]
    assert cli.main(["grow", str(model), *words]) == 2
    assert "networks of this algorithm cannot grow" in capsys.readouterr().err
