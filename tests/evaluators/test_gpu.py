import logging

import numpy as np
import pytest
import torch
from plain_networks import evaluate, expected, random_observations, trained_looking_network

from ddpzero.evaluators.lanes import layout_for
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.rate import bare_forward_rate
from ddpzero.evaluators.shared import GatheringEvaluator
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16", "float16"])
def test_the_gpu_gives_what_the_network_gives(precision):
    game = load_game("connect_four")
    network = trained_looking_network(game)
    observations = random_observations(game, 16)
    evaluator = NetworkEvaluator(network, game, 16, device="cuda", precision=precision)
    logits, outcomes = expected(network, game, observations)
    results = evaluate(evaluator, observations)
    np.testing.assert_allclose(results[0], logits, atol=0.05 * max(1.0, np.abs(logits).max()))
    np.testing.assert_allclose(results[1], outcomes, atol=0.1)


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_two_slots_overlap_without_mixing(cuda_graphs):
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(
        network, game, 64, 2, "cuda", precision="float32", cuda_graphs=cuda_graphs
    )
    for seed in range(0, 40, 2):
        batches = [random_observations(game, 64, seed + slot) for slot in (0, 1)]
        for slot in (0, 1):
            evaluator.observations(slot)[:] = batches[slot]
            evaluator.submit(slot, 64)
        for slot in (0, 1):
            wanted, _ = expected(network, game, batches[slot])
            np.testing.assert_allclose(evaluator.collect(slot)[0], wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_batch_under_way_keeps_the_weights_it_was_submitted_with(cuda_graphs):
    game = load_game("connect_four")
    networks = [trained_looking_network(game, seed) for seed in (0, 1)]
    evaluator = NetworkEvaluator(
        networks[0], game, 64, 2, "cuda", precision="float32", cuda_graphs=cuda_graphs
    )
    observations = random_observations(game, 64)
    for round_index in range(20):
        now, after = networks[round_index % 2], networks[1 - round_index % 2]
        evaluator.observations(0)[:] = observations
        evaluator.submit(0, 64)
        evaluator.load_weights(after.state_dict())
        wanted, _ = expected(now, game, observations)
        np.testing.assert_allclose(evaluator.collect(0)[0], wanted, rtol=1e-2, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_compiled_network_gives_the_same(cuda_graphs, caplog):
    game = load_game("connect_four")
    network = trained_looking_network(game)
    observations = random_observations(game, 16)
    evaluator = NetworkEvaluator(
        network,
        game,
        16,
        device="cuda",
        precision="float32",
        compile=True,
        cuda_graphs=cuda_graphs,
    )
    wanted, _ = expected(network, game, observations)
    np.testing.assert_allclose(evaluate(evaluator, observations)[0], wanted, rtol=1e-2, atol=1e-2)
    evaluator.load_weights(trained_looking_network(game, seed=1).state_dict())
    changed = evaluate(evaluator, observations)[0]
    assert not np.allclose(changed, wanted, atol=1e-2)
    assert "CUDA graphs" not in caplog.text


def test_the_bare_forward_rate_waits_for_the_gpu():
    game = load_game("connect_four")
    evaluator = NetworkEvaluator(trained_looking_network(game), game, 64, device="cuda")
    assert torch.cuda.is_available()
    assert bare_forward_rate(evaluator, 64, seconds=0.1) > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["resnet", "nested_bottleneck", "attention"])
def test_graphs_give_what_the_network_gives_in_every_batch_size(name, precision, caplog):
    game = load_game("go", size=7)
    torch.manual_seed(0)
    settings = NetworkSettings(name=name, blocks=2, channels=32)
    network = make_network(game, settings, ("score", "ownership"))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    options = {"precision": precision, "points_scale": 8.0, "random_symmetry": True}
    with caplog.at_level(logging.WARNING):
        captured, plain = (
            NetworkEvaluator(network, game, 48, 2, "cuda", cuda_graphs=flag, **options)
            for flag in (True, False)
        )
        for seed, size in enumerate((5, 48, 17, 1, 5, 48)):
            observations = random_observations(game, size, seed)
            for ours, wanted in zip(
                evaluate(captured, observations, seed % 2),
                evaluate(plain, observations, seed % 2),
                strict=True,
            ):
                np.testing.assert_allclose(ours, wanted, rtol=1e-2, atol=1e-2)
    # No capture has failed.
    assert caplog.records == []


def test_an_evaluator_goes_with_its_graphs_and_leaves_those_of_others_alone():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    observations = random_observations(game, 16)

    def made() -> NetworkEvaluator:
        evaluator = NetworkEvaluator(
            network, game, 16, device="cuda", precision="float32", cuda_graphs=True
        )
        evaluate(evaluator, observations)
        return evaluator

    first, second = made(), made()
    wanted, _ = expected(network, game, observations)
    del first
    torch.cuda.empty_cache()
    third = made()
    for evaluator in (second, third, second):
        np.testing.assert_allclose(
            evaluate(evaluator, observations)[0], wanted, rtol=1e-2, atol=1e-2
        )


def test_two_batches_of_several_actors_are_under_way():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    layout = layout_for(game, 32)
    evaluator = GatheringEvaluator(
        [layout],
        lambda kind, arrays, most: NetworkEvaluator(
            network, game, most, 2, "cuda", precision="float32", cuda_graphs=True
        ),
        lambda arrays: 0,
        max_requests=2,
        max_under_way=2,
    )
    evaluator.receive({name: each.numpy() for name, each in network.state_dict().items()}, 1)
    for seed in range(0, 40, 4):
        asked = [random_observations(game, 20 + lane, seed + lane) for lane in range(4)]
        inputs = [np.zeros(layout.input_bytes, np.uint8) for _ in asked]
        outputs = [np.zeros(layout.output_floats, np.float32) for _ in asked]
        for lane, rows in zip(inputs, asked, strict=True):
            layout.observations(lane)[: len(rows)] = rows
        for first in (0, 2):
            lanes = slice(first, first + 2)
            evaluator.start(0, [len(rows) for rows in asked[lanes]], inputs[lanes])
        for first in (0, 2):
            evaluator.finish(outputs[first : first + 2])
        for lane, rows in zip(outputs, asked, strict=True):
            wanted, _ = expected(network, game, rows)
            logits, _ = layout.answers(lane)
            np.testing.assert_allclose(logits[: len(rows)], wanted, rtol=1e-2, atol=1e-2)
