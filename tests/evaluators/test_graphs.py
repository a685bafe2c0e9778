"""Batches computed by CUDA graphs: what is captured when, and what becomes of new weights and of failures."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from fakes import FakeCapture, FakeStreams
from plain_networks import expected, random_observations, trained_looking_network

from ddpzero.evaluators import fused
from ddpzero.evaluators.graphs import BatchGraphs
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.slots import CudaSlot, batch_sizes
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network

CPU = torch.device("cpu")


class Doubling:
    """Computes twice the inputs, and counts its calls."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append(len(rows))
        return 2.0 * rows, 3.0 * rows


def filled(rows: int, value: float) -> torch.Tensor:
    return torch.full((rows, 2), value)


def test_a_size_is_captured_once_and_then_replayed():
    compute, capture = Doubling(), FakeCapture()
    graphs = BatchGraphs(compute, capture)
    inputs = filled(8, 1.0)
    for value in (1.0, 5.0, 7.0):
        inputs.fill_(value)
        first, second = graphs.run(inputs, 4)
        assert first.tolist() == [[2 * value] * 2] * 4
        assert second.tolist() == [[3 * value] * 2] * 4
    assert capture.sizes == [8, 4] and capture.replays == [4, 4, 4]


def test_the_largest_size_is_captured_first_so_that_others_find_memory():
    capture = FakeCapture()
    graphs = BatchGraphs(Doubling(), capture)
    inputs = filled(8, 1.0)
    for size in (2, 8, 4, 2):
        graphs.run(inputs, size)
    assert capture.sizes == [8, 2, 4] and capture.replays == [2, 8, 4, 2]


def test_libraries_are_warm_before_a_capture():
    compute = Doubling()
    seen: list[int] = []

    def capture(function):
        seen.append(len(compute.sizes))
        return FakeCapture()(function)

    BatchGraphs(compute, capture).run(filled(4, 1.0), 4)
    assert compute.sizes[: seen[0]] == [4, 4]


def test_each_slot_has_graphs_of_its_own():
    capture = FakeCapture()
    graphs = BatchGraphs(Doubling(), capture)
    slots = [filled(4, 1.0), filled(4, 10.0)]
    answers = [graphs.run(inputs, 3)[0] for inputs in slots]
    # The first answers are still there when the second batch is computed.
    assert [each[0, 0].item() for each in answers] == [2.0, 20.0]
    assert capture.sizes == [4, 3, 3]


def test_a_failed_capture_is_told_once_and_the_batch_computed_without(caplog):
    compute, capture = Doubling(), FakeCapture(fails_at=2)
    graphs = BatchGraphs(compute, capture)
    inputs = filled(8, 1.0)
    with caplog.at_level(logging.WARNING):
        for size in (8, 4, 2, 1, 2, 8):
            first, _ = graphs.run(inputs, size)
            assert first.tolist() == [[2.0, 2.0]] * size
    # The sizes captured before keep their graphs.
    assert capture.sizes == [8, 4] and capture.replays == [8, 4, 8]
    (record,) = caplog.records
    message = record.getMessage()
    assert message.startswith("Batches of 2 positions and of other new sizes are evaluated without")
    assert message.endswith("(ValueError: operation not permitted when stream is capturing).")


def test_an_error_of_the_network_itself_is_not_hidden():
    def compute(rows: torch.Tensor):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        BatchGraphs(compute, FakeCapture()).run(filled(2, 1.0), 2)


@pytest.fixture
def no_fused(monkeypatch):
    """As on a GPU, where the modules keep their plain parameters."""
    monkeypatch.setattr(fused, "is_available", lambda: False)


def slots_of(inference: InferenceNetwork, max_batch: int, number: int = 2):
    streams, capture = FakeStreams(), FakeCapture()
    graphs = BatchGraphs(inference.float_answers, capture)
    slots = [CudaSlot(inference, max_batch, streams, graphs.run) for _ in range(number)]
    return slots, streams, capture


def evaluated(slot: CudaSlot, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slot.observations[: len(observations)] = observations
    slot.submit(len(observations))
    return slot.collect()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_answers_of_graphs_are_those_of_the_network_also_in_batches_that_are_padded(
    no_fused, dtype
):
    game = load_game("connect_four")
    network = trained_looking_network(game)
    slots, _, capture = slots_of(InferenceNetwork(network, game, CPU, dtype), 32)
    for seed, (slot, size) in enumerate([(0, 32), (1, 17), (0, 3), (1, 18), (0, 3)]):
        observations = random_observations(game, size, seed)
        found = evaluated(slots[slot], observations)
        for ours, wanted in zip(found, expected(network, game, observations), strict=True):
            assert ours.dtype == np.float32 and ours.flags.c_contiguous
            atol = 1e-4 if dtype == torch.float32 else 0.05 * max(1.0, np.abs(wanted).max())
            np.testing.assert_allclose(ours, wanted, atol=atol)
    assert capture.sizes == [32, 20, 4] and capture.replays == [32, 20, 4, 20, 4]


def test_weights_are_copied_to_where_graphs_read_them(no_fused):
    game = load_game("connect_four")
    networks = [trained_looking_network(game, seed) for seed in (0, 1)]
    inference = InferenceNetwork(networks[0], game, CPU, torch.float32)
    (slot,), _, capture = slots_of(inference, 8, number=1)
    places = {name: each.data_ptr() for name, each in inference._module.named_parameters()}
    observations = random_observations(game, 8)
    for network in (networks[0], networks[1], networks[0]):
        inference.load_weights(
            {name: value.numpy() for name, value in network.state_dict().items()}
        )
        logits, _ = evaluated(slot, observations)
        np.testing.assert_allclose(logits, expected(network, game, observations)[0], atol=1e-4)
    assert capture.sizes == [8] and len(capture.replays) == 3
    assert places == {name: each.data_ptr() for name, each in inference._module.named_parameters()}


def test_random_views_and_points_are_part_of_a_graph(no_fused):
    game = load_game("go", size=5)
    torch.manual_seed(1)
    network = make_network(game, NetworkSettings(blocks=1, channels=8), ("score", "ownership"))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    inference = InferenceNetwork(
        network, game, CPU, torch.float32, points_scale=5.0, random_symmetry=True
    )
    (slot,), _, capture = slots_of(inference, 16, number=1)
    for seed in range(3):
        observations = random_observations(game, 16, seed)
        logits, outcomes = inference.evaluate(torch.from_numpy(observations))
        found = evaluated(slot, observations)
        np.testing.assert_allclose(found[0], logits, atol=1e-5)
        np.testing.assert_allclose(found[1], outcomes, atol=1e-5)
        assert np.abs(found[1][:, 3]).max() > 0
    assert capture.sizes == [16]


def test_what_torch_compile_captures_by_itself_is_not_captured_again():
    from torch._inductor import config

    game = load_game("tic_tac_toe")
    network = trained_looking_network(game)
    plain = InferenceNetwork(network, game, CPU, torch.float32)
    compiled = InferenceNetwork(network, game, CPU, torch.float32, compile=True)
    assert not plain.captures_itself and not compiled.captures_itself
    with config.patch({"triton.cudagraphs": True}):
        assert not plain.captures_itself and compiled.captures_itself


def test_every_batch_size_is_compiled_though_torch_compiles_eight_by_itself(no_fused, monkeypatch):
    num_compiled = 0

    def backend(module, examples):
        nonlocal num_compiled
        num_compiled += 1
        return module.forward

    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *a, **o: compile(*a, **o, backend=backend))
    game = load_game("tic_tac_toe")
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    evaluator = NetworkEvaluator(network, game, 16, precision="float32", compile=True)
    sizes = batch_sizes(16)
    assert len(sizes) == 9
    try:
        for size in (*sizes, *sizes):
            evaluator.submit(0, size)
    finally:
        torch._dynamo.reset()
    assert num_compiled == len(sizes)
