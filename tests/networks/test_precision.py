import logging

import pytest
import torch

from ddpzero.games import load_game
from ddpzero.networks import NetworkSettings, make_network, precision, training_dtype

CPU = torch.device("cpu")


def choose(monkeypatch, float32_seconds, narrow_seconds):
    """The choice, had the measurement come out like this."""
    monkeypatch.setattr(precision, "narrow_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(
        precision, "best_seconds", lambda steps, device, budget: [float32_seconds, narrow_seconds]
    )
    return precision.faster_dtype(lambda dtype, n: lambda: None, 256, CPU, "is evaluated")


@pytest.mark.parametrize(
    ("narrow_seconds", "dtype"),
    [(0.5, torch.bfloat16), (0.95, torch.float32), (1.5, torch.float32)],
)
def test_the_narrow_dtype_must_win_clearly(monkeypatch, narrow_seconds, dtype):
    assert choose(monkeypatch, 1.0, narrow_seconds) == dtype


def test_the_choice_is_logged_with_both_rates(monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        choose(monkeypatch, 0.02, 0.01)
    [message] = caplog.messages
    assert "is evaluated in bfloat16" in message
    assert "12800 positions/s in float32, 25600 in bfloat16 (batch 256)" in message


def test_without_a_narrow_dtype_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(precision, "narrow_dtype", lambda device: None)
    assert precision.faster_dtype(None, 256, CPU, "trains") == torch.float32  # type: ignore[arg-type]


def test_measuring_training_leaves_the_network_as_it_was():
    game = load_game("tic_tac_toe")
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert training_dtype(network, game, 4, CPU) in (torch.float32, torch.bfloat16)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_small_boards_are_measured_with_their_real_batch_and_large_ones_with_a_part():
    assert precision.positions_to_measure(load_game("connect_four"), 256) == 256
    assert precision.positions_to_measure(load_game("gomoku"), 256) == 47


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_a_gpu_that_only_emulates_bfloat16_is_given_float16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision.narrow_dtype(torch.device("cuda", 0)) == dtype
