import numpy as np
import pytest
import torch
from plain_networks import evaluate, expected, random_observations, trained_looking_network

from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.rate import bare_forward_rate
from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network, unpack_observations
from ddpzero.system.devices import cpu_has_bfloat16

# A processor without AVX-512 cannot compute in it.
NARROW = "bfloat16" if cpu_has_bfloat16() else "float32"

GAMES = ["tic_tac_toe", "connect_four", "gomoku"]


@pytest.mark.parametrize("name", GAMES)
def test_float32_gives_what_the_network_gives(name):
    game = load_game(name)
    network = trained_looking_network(game)
    observations = random_observations(game, 8)
    results = evaluate(NetworkEvaluator(network, game, 8, precision="float32"), observations)
    for result, wanted in zip(results, expected(network, game, observations), strict=True):
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("precision", ["auto", NARROW])
def test_a_narrow_precision_stays_near(name, precision):
    game = load_game(name)
    network = trained_looking_network(game)
    observations = random_observations(game, 8)
    results = evaluate(NetworkEvaluator(network, game, 8, precision=precision), observations)
    logits, outcomes = expected(network, game, observations)
    np.testing.assert_allclose(results[0], logits, atol=0.05 * max(1.0, np.abs(logits).max()))
    np.testing.assert_allclose(results[1], outcomes, atol=0.1)


def test_results_are_contiguous_float32_and_outcomes_are_probabilities():
    game = load_game("gomoku")
    evaluator = NetworkEvaluator(trained_looking_network(game), game, 4, precision=NARROW)
    logits, outcomes = evaluate(evaluator, random_observations(game, 4))
    assert logits.shape == (4, 225) and outcomes.shape == (4, 4)
    for result in (logits, outcomes):
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
    np.testing.assert_allclose(outcomes[:, :3].sum(axis=1), 1.0, atol=1e-6)
    assert (outcomes[:, 3] == 0).all(), "points that nobody asked for"


def test_points_are_expected_from_the_scores_distribution():
    game = load_game("dots_and_boxes", rows=2, columns=2)
    torch.manual_seed(1)
    network = make_network(game, NetworkSettings(blocks=1, channels=8), ("score", "ownership"))
    observations = random_observations(game, 5)
    evaluator = NetworkEvaluator(network, game, 5, precision="float32", points_scale=2.0)
    logits, outcomes = evaluate(evaluator, observations)
    planes = unpack_observations(torch.from_numpy(observations), game)
    with torch.no_grad():
        policy_logits, value_logits, others = network(planes, ("score",))
    worth = torch.tanh(torch.arange(-4, 5) / 2.0)
    points = (others["score"].softmax(1) * worth).sum(1)
    assert points.std() > 1e-3
    np.testing.assert_allclose(outcomes[:, 3], points, atol=1e-4)
    np.testing.assert_allclose(outcomes[:, :3], value_logits.softmax(1), atol=1e-4)
    np.testing.assert_allclose(logits, policy_logits, rtol=1e-4, atol=1e-4)


def test_a_batch_that_is_not_full_gives_its_rows_only():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 40, precision="float32")
    observations = random_observations(game, 40)
    for num_positions in (40, 1, 17, 39):
        logits, _ = evaluate(evaluator, observations[:num_positions])
        wanted, _ = expected(network, game, observations[:num_positions])
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4)


def test_slots_do_not_disturb_each_other():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 4, num_slots=2, precision="float32")
    batches = [random_observations(game, 4, seed) for seed in (0, 1)]
    for slot in (0, 1):
        evaluator.observations(slot)[:] = batches[slot]
        evaluator.submit(slot, 4)
    for slot in (1, 0):
        wanted, _ = expected(network, game, batches[slot])
        np.testing.assert_allclose(evaluator.collect(slot)[0], wanted, rtol=1e-4, atol=1e-4)


def test_the_originals_training_reaches_the_evaluator_only_by_load_weights():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 4, precision="float32")
    observations = random_observations(game, 4)
    before = evaluate(evaluator, observations)[0].copy()
    other = trained_looking_network(game, seed=1)
    network.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(evaluate(evaluator, observations)[0], before)
    evaluator.load_weights(network.state_dict())
    wanted, _ = expected(other, game, observations)
    np.testing.assert_allclose(evaluate(evaluator, observations)[0], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", dict.fromkeys(["float32", NARROW]))
def test_loaded_weights_equal_those_it_could_have_started_with(precision):
    game = load_game("connect_four")
    other = trained_looking_network(game, seed=1)
    observations = random_observations(game, 4)
    loaded = NetworkEvaluator(trained_looking_network(game), game, 4, precision=precision)
    loaded.load_weights(other.state_dict())
    started = NetworkEvaluator(other, game, 4, precision=precision)
    np.testing.assert_array_equal(
        evaluate(loaded, observations)[0], evaluate(started, observations)[0]
    )


def test_weights_may_lie_in_read_only_memory():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    arrays = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    for array in arrays.values():
        array.flags.writeable = False
    evaluator = NetworkEvaluator(network, game, 2, precision="float32")
    evaluator.load_weights(arrays, weights_version=7)
    assert evaluator.weights_version == 7


def test_weights_of_another_size_are_refused():
    game = load_game("connect_four")
    evaluator = NetworkEvaluator(trained_looking_network(game), game, 2, precision="float32")
    with pytest.raises(ValueError, match="another network"):
        evaluator.load_weights(trained_looking_network(game, channels=24).state_dict())


def test_weights_with_a_missing_name_are_refused():
    game = load_game("connect_four")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 2, precision="float32")
    state = network.state_dict()
    del state["tower.0.inner.weight"]
    with pytest.raises(ValueError, match=r"tower\.0\.inner\.weight is missing"):
        evaluator.load_weights(state)


def test_versions_count_on_when_none_is_given():
    game = load_game("tic_tac_toe")
    network = trained_looking_network(game)
    evaluator = NetworkEvaluator(network, game, 2, precision="float32")
    evaluator.load_weights(network.state_dict(), weights_version=4)
    evaluator.load_weights(network.state_dict())
    assert evaluator.weights_version == 5


def test_the_processs_thread_count_is_left_alone():
    game = load_game("tic_tac_toe")
    before = torch.get_num_threads()
    NetworkEvaluator(trained_looking_network(game), game, 2)
    assert torch.get_num_threads() == before


def test_the_bare_forward_rate_is_that_of_the_evaluators_own_network(monkeypatch):
    game = load_game("tic_tac_toe")
    evaluator = NetworkEvaluator(trained_looking_network(game), game, 8, precision=NARROW)
    seen = []
    forward = evaluator.inference.forward
    monkeypatch.setattr(
        evaluator.inference, "forward", lambda planes: seen.append(planes) or forward(planes)
    )
    assert bare_forward_rate(evaluator, 8, seconds=0.01) > 0
    assert {(len(planes), planes.dtype) for planes in seen} == {(8, getattr(torch, NARROW))}
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
