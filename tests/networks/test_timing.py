import torch

from ddpzero.networks.timing import best_seconds


def test_functions_are_timed_in_turn_and_warmed_up_first():
    calls = []
    best_seconds([lambda: calls.append("a"), lambda: calls.append("b")], torch.device("cpu"), 0.0)
    assert calls == ["a", "b"] * 3


def test_the_one_with_more_work_takes_longer():
    few, many = best_seconds(
        [lambda: sum(range(1_000)), lambda: sum(range(100_000))], torch.device("cpu"), 0.02
    )
    assert few < many
