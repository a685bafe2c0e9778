import numpy as np

from ddpzero.evaluators.uniform import UniformEvaluator
from ddpzero.games import load_game


def test_all_actions_and_all_outcomes_are_equally_likely():
    evaluator = UniformEvaluator(load_game("connect_four"), max_batch=4)
    evaluator.submit(0, 3)
    logits, outcomes = evaluator.collect(0)
    assert logits.shape == (3, 7) and outcomes.shape == (3, 4)
    assert logits.dtype == outcomes.dtype == np.float32
    assert (logits == 0).all()
    np.testing.assert_allclose(outcomes[:, :3], 1 / 3)
    assert (outcomes[:, 3] == 0).all(), "no points"


def test_slots_have_their_own_observations_and_batches():
    game = load_game("connect_four")
    evaluator = UniformEvaluator(game, max_batch=4, num_slots=2)
    assert evaluator.observations(0).shape == (4, game.observation_size_bytes)
    assert not np.shares_memory(evaluator.observations(0), evaluator.observations(1))
    evaluator.submit(0, 1)
    evaluator.submit(1, 4)
    assert [len(evaluator.collect(slot)[0]) for slot in (0, 1)] == [1, 4]
