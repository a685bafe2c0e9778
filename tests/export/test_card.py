"""The card of an exported model: what a program needs to use it, and what a person wants to know."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from ddpzero.arena.judgements import JUDGEMENTS_FILE
from ddpzero.arena.match_log import Block, MatchLog
from ddpzero.cli import commands as cli
from ddpzero.export.card import strength_of
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.system.json_text import json_text
from tests.export.models import SMALL, written_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ("game=othello", "game.size=6", "algorithm.play_averages_symmetries=true", *SMALL)
    return written_model(tmp_path_factory.mktemp("run") / "models", *words)


def card_of(model: Path, folder: Path) -> dict:
    assert cli.main(["export", str(model), "--weights", str(folder)]) == 0
    return json.loads((folder / "card.json").read_text())


def test_the_weights_come_with_their_card(model: Path, tmp_path: Path):
    card = card_of(model, tmp_path / "out")
    file = tmp_path / "out" / "model.safetensors"
    found = load_file(file)
    expected = load_weights(model).weights
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name].numpy()).all() for name in found)
    assert card["files"] == {
        "model.safetensors": {
            "size_bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    }
    assert card["network"]["num_parameters"] == sum(array.size for array in found.values())


def test_the_card_says_what_goes_in_and_out(model: Path, tmp_path: Path):
    card = card_of(model, tmp_path / "out")
    assert card["input"]["shape"] == ["batch", 4, 6, 6]
    assert {output["name"]: output["shape"] for output in card["outputs"]} == {
        "policy_logits": ["batch", 37],
        "value": ["batch", 3],
        "score": ["batch", 73],
        "ownership": ["batch", 36],
    }
    game = card["game"]
    assert (game["name"], game["parameters"]) == ("othello", {"size": 6})
    assert game["actions"][0] == "a1" and game["actions"][-1] == "pass"
    assert "cells where the mover can place a disc" in " ".join(game["description"].split())
    assert "bitorder='little'" in game["packing"]


def test_the_card_says_how_the_model_was_trained(model: Path, tmp_path: Path):
    card = card_of(model, tmp_path / "out")
    training = card["training"]
    assert (training["learner_step"], training["samples"], training["minutes"]) == (7, 700, 1.5)
    assert (
        training["config_sha256"]
        == hashlib.sha256((model / "config.yaml").read_bytes()).hexdigest()
    )
    assert training["versions"]["ddpzero"] and training["saved_at"]
    assert card["network"]["play_averages_symmetries"] is True
    assert (card["network"]["blocks"], card["network"]["channels"]) == (2, 16)
    assert card["strength"] == {"rating": None, "judgements": []}
    assert "unknown" in card["license"]


def test_the_card_says_how_strong_the_run_knows_the_model_to_be(tmp_path: Path):
    """As the arena and the judge of a training leave it."""
    checkpoint = tmp_path / "checkpoints" / "b"
    log = MatchLog(tmp_path)
    for wins, name in ((15, "a"), (19, "b")):
        log.append(block_against_random(name, wins))
    line = {
        "model": "b",
        "file": "hex4",
        "num_positions": 50,
        "shares": [{"num_simulations": 0, "kept": 0.75, "best": 0.5}],
        "learner_step": 7,
        "minutes": 1.0,
        "seconds": 2.0,
        "time": 1e9,
    }
    (tmp_path / JUDGEMENTS_FILE).write_text(f"{json_text(line)}\n")
    strength = strength_of("b", checkpoint)
    rating = strength["rating"]
    assert (rating["anchor"], rating["num_games"], rating["score"]) == ("random", 20, 0.95)
    assert 100 < rating["low"] < rating["elo"] < rating["high"]
    assert strength["judgements"] == [
        {"positions": "hex4", "num_positions": 50, "shares": line["shares"]}
    ]
    assert strength_of("c", checkpoint) == {"rating": None, "judgements": []}


def test_nothing_is_overwritten(model: Path, tmp_path: Path, capsys):
    card_of(model, tmp_path / "out")
    before = (tmp_path / "out" / "card.json").read_bytes()
    assert cli.main(["export", str(model), "--weights", str(tmp_path / "out")]) == 2
    assert "exists already: name another folder" in capsys.readouterr().err
    assert (tmp_path / "out" / "card.json").read_bytes() == before


def block_against_random(model: str, wins: int) -> Block:
    """20 games of a model against random: the last ones are lost."""
    results = [1.0] * wins + [0.0] * (20 - wins)
    pairs = tuple(zip(results[::2], results[1::2], strict=True))
    return Block(f"{model} random", model, "random", pairs, 7, 700, 1.0, 30.0, 1.0, 1e9)


@pytest.mark.parametrize(
    "targets",
    [
        ("--weights", "out", "--static", "out"),
        ("--onnx", "out/card.onnx", "--weights", "out"),
        ("--onnx", "out/model.onnx", "--static", "out"),
    ],
)
def test_no_export_replaces_another_one(model: Path, tmp_path: Path, monkeypatch, capsys, targets):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", str(model), *targets]) == 2
    assert "name" in capsys.readouterr().err and not list(tmp_path.iterdir())
