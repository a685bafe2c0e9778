import numpy as np
import pytest
import torch
from plain_networks import evaluate, expected, random_observations, trained_looking_network

from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.rate import bare_forward_rate
from ddpzero.games import load_game

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


def test_two_slots_overlap_without_mixing():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 64, num_slots=2, device="cuda", precision="float32")
    for seed in range(0, 40, 2):
        batches = [random_observations(game, 64, seed + slot) for slot in (0, 1)]
        for slot in (0, 1):
            evaluator.observations(slot)[:] = batches[slot]
            evaluator.submit(slot, 64)
        for slot in (0, 1):
            wanted, _ = expected(network, game, batches[slot])
            np.testing.assert_allclose(evaluator.collect(slot)[0], wanted, rtol=1e-2, atol=1e-2)


def test_a_batch_under_way_keeps_the_weights_it_was_submitted_with():
    game = load_game("connect_four")
    networks = [trained_looking_network(game, seed) for seed in (0, 1)]
    evaluator = NetworkEvaluator(
        networks[0], game, 64, num_slots=2, device="cuda", precision="float32"
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
def test_a_compiled_network_gives_the_same():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    observations = random_observations(game, 16)
    evaluator = NetworkEvaluator(
        network, game, 16, device="cuda", precision="float32", compile=True
    )
    wanted, _ = expected(network, game, observations)
    np.testing.assert_allclose(evaluate(evaluator, observations)[0], wanted, rtol=1e-2, atol=1e-2)
    evaluator.load_weights(trained_looking_network(game, seed=1).state_dict())
    changed = evaluate(evaluator, observations)[0]
    assert not np.allclose(changed, wanted, atol=1e-2)


def test_the_bare_forward_rate_waits_for_the_gpu():
    game = load_game("connect_four")
    evaluator = NetworkEvaluator(trained_looking_network(game), game, 64, device="cuda")
    assert torch.cuda.is_available()
    assert bare_forward_rate(evaluator, 64, seconds=0.1) > 0
