"""ddpzero export --onnx: ONNX Runtime answers like torch, in batches of any size, for every kind of network."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ddpzero.algorithms.base import Exportable
from ddpzero.arena.agents import Agent, load_agent
from ddpzero.cli import commands as cli
from ddpzero.export import onnx_file
from ddpzero.export.onnx_file import Agreement, compare, to_onnx
from tests.export.models import SMALL, written_model
from tests.places import REINFORCE

SCORED = ("policy_logits", "value", "score", "ownership")
PLAIN = ("policy_logits", "value")
OWN_HEADS = ("loss.next_policy=1", "loss.short_value=1")


class Small(NamedTuple):
    """A small model of Tic-Tac-Toe. content: of its .onnx file."""

    agent: Agent
    exportable: Exportable
    content: bytes


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    words = ("game=tic_tac_toe", *SMALL, "algorithm.play_averages_symmetries=false")
    agent = load_agent(written_model(tmp_path_factory.mktemp("small"), *words))
    exportable = agent.algorithm.exportable(agent.weights, agent.model)
    return Small(agent, exportable, to_onnx(exportable))


def exportable_of(model: Path) -> Exportable:
    agent = load_agent(model)
    return agent.algorithm.exportable(agent.weights, agent.model)


@pytest.mark.parametrize(
    ("overrides", "outputs"),
    [
        (("game=connect_four", *SMALL, "network.value_head=dense"), PLAIN),
        (("game=othello", "game.size=6", "network=attention", *SMALL, *OWN_HEADS), SCORED),
        (("game=go", "game.size=5", "network=nested_bottleneck", *SMALL), SCORED),
    ],
    ids=["dense", "attention", "nested bottleneck"],
)
def test_onnx_runtime_answers_like_torch(overrides, outputs, tmp_path: Path):
    exportable = exportable_of(written_model(tmp_path, *overrides))
    content = to_onnx(exportable)
    agreement = compare(exportable, content, 150, np.random.default_rng(0))
    assert agreement.num_positions == 150
    assert agreement.policy_difference < 1e-5
    assert agreement.other_difference is not None
    assert agreement.other_difference < 1e-4

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert tuple(output.name for output in session.get_outputs()) == outputs
    inputs = exportable.sample_inputs(5, np.random.default_rng(1))
    together = session.run(None, {"planes": inputs.numpy()})
    alone = [session.run(None, {"planes": inputs[row : row + 1].numpy()}) for row in range(5)]
    for index, output in enumerate(exportable.outputs):
        assert together[index].shape == (5, *output.shape)
        joined = np.concatenate([answers[index] for answers in alone])
        np.testing.assert_allclose(joined, together[index], atol=1e-5)
    np.testing.assert_allclose(together[1].sum(1), 1, atol=1e-5)


def test_the_file_says_of_a_position_what_the_player_does(small: Small):
    """Win, draw, loss and the policy, in the order in which ddpzero itself reads them."""
    agent = small.agent
    session = onnxruntime.InferenceSession(small.content)
    position = agent.game.initial_position()
    planes = agent.game.observation(position)[None].astype(np.float32)
    logits, value = session.run(None, {"planes": planes})
    thinker = agent.make_player().make_thinker(10)
    thinker.begin(position)
    thinker.think(0)
    thoughts = thinker.thoughts()
    np.testing.assert_allclose(thoughts.wdl, value[0], atol=1e-4)
    priors = {move.action: move.prior for move in thoughts.moves}
    softmax = torch.softmax(torch.from_numpy(logits[0]), 0)
    np.testing.assert_allclose([priors[action] for action in range(9)], softmax.numpy(), atol=1e-4)


def test_the_file_names_and_explains_its_tensors_and_nothing_of_this_machine(small: Small):
    graph = onnx.load_from_string(small.content).graph
    assert [tensor.name for tensor in graph.input] == ["planes"]
    assert "from the mover's side" in graph.input[0].doc_string
    assert "win, draw and loss" in graph.output[1].doc_string
    assert b"/ddpzero/" not in small.content and b".py" not in small.content


def test_the_policy_of_ddpg_is_exported(tmp_path: Path):
    model = written_model(tmp_path, "+experiment=snakes", "network.width=16")
    exportable = exportable_of(model)
    assert exportable.input.name == "observation"
    agreement = compare(exportable, to_onnx(exportable), 40, np.random.default_rng(0))
    assert agreement.policy_difference < 1e-5
    assert agreement.other_difference is None


def test_another_network_does_not_pass_for_this_one(small: Small):
    other = copy.deepcopy(small.exportable.network)
    with torch.no_grad():
        next(other.parameters()).add_(0.3)
    exportable = small.exportable._replace(network=other)
    found = compare(exportable, small.content, 20, np.random.default_rng(0))
    assert found.policy_difference > 1e-3


@pytest.mark.parametrize("differences", [(2e-4, 0.0), (2e-4, None), (0.0, 2e-4)])
def test_a_file_that_differs_from_torch_is_not_written(
    differences, tmp_path: Path, capsys, monkeypatch
):
    model = written_model(tmp_path, "game=tic_tac_toe", *SMALL)
    monkeypatch.setattr(onnx_file, "to_onnx", lambda exportable: b"")
    monkeypatch.setattr(onnx_file, "compare", lambda *given: Agreement(1, *differences))
    file = tmp_path / "out" / "model.onnx"
    assert cli.main(["export", str(model), "--onnx", str(file)]) == 1
    assert "differs from torch by 2.0e-04, more than 1e-04: nothing was written" in (
        capsys.readouterr().err
    )
    assert not any(file.parent.iterdir())


def test_the_command_prints_how_far_torch_and_onnx_runtime_differ(tmp_path: Path, capsys):
    model = written_model(tmp_path, "game=tic_tac_toe", *SMALL)
    file = tmp_path / "out" / "net.onnx"
    words = ["export", str(model), "--onnx", str(file), "--check", "70"]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    assert "of a policy probability" in printed and "in 70 random positions" in printed
    card = json.loads(file.with_suffix(".json").read_text())
    assert card["files"]["net.onnx"]["size_bytes"] == file.stat().st_size
    assert card["onnx"]["checked_positions"] == 70
    assert 0 <= card["onnx"]["largest_policy_difference"] < 1e-5
    before = file.read_bytes()
    assert cli.main(words) == 2
    assert "exists already: name another file" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_an_algorithm_without_the_method_is_named(tmp_path: Path, capsys):
    words = ("game=tic_tac_toe", "algorithm=own", f"algorithm.source={REINFORCE}")
    model = written_model(tmp_path, *words)
    assert cli.main(["export", str(model), "--onnx", str(tmp_path / "a.onnx")]) == 2
    assert "cannot be exported: it lacks the optional method exportable" in capsys.readouterr().err
    assert cli.main(["export", str(model), "--weights", str(tmp_path / "out")]) == 0
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert "input" not in card and card["training"]["learner_step"] == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing is to be written: give --onnx FILE"),
        (["--onnx", "a.pt"], "must be the name of a file that ends in .onnx"),
        (["--weights", "w", "--check", "5"], "--check has no effect without --onnx or --static"),
        (["--onnx", "a.onnx", "--onnxruntime-web", "b"], "has no effect without --static"),
    ],
)
def test_words_without_effect_are_refused(words, told, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(["export", "runs/none", *words])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert told in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
