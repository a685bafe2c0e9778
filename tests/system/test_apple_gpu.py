"""Apple's GPUs (device=mps), as far as a machine without one can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.bench.noise import noise
from ddpzero.config.hydra import compose_settings
from ddpzero.contribute.local_actors import choose_device as choose_device_of_contributor
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.evaluators.inference import InferenceNetwork
from ddpzero.evaluators.network import NetworkEvaluator
from ddpzero.evaluators.slots import CpuSlot, QueuedSlot
from ddpzero.games import Game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.gradient_step import GradientStep
from ddpzero.networks.memory_format import fast_memory_format, on_device
from ddpzero.networks.precision import autocast_to, narrow_dtype, training_dtype
from ddpzero.networks.timing import synchronized_now
from ddpzero.replay import ReplayBuffer
from ddpzero.run import random_state as random_states
from ddpzero.run.divergence import state_tensors, weights_problem
from ddpzero.run.random_state import random_state, restore_random_state
from ddpzero.run.ranks import join_ranks
from ddpzero.system.devices import choose_device, memory_in_use
from ddpzero.system.errors import UserError
from ddpzero.training.actor_devices import choose_actor_device, evaluator_of_rank
from ddpzero.training.batches import BatchFeeder

MPS, CPU = torch.device("mps"), torch.device("cpu")


@pytest.fixture
def a_mac(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An Apple GPU that notes what waits for it."""
    waits: list[str] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append("synchronize"))
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 123)
    return waits


# ------------------------------------------------------------------------ the choice


@pytest.mark.usefixtures("a_mac")
def test_it_is_used_if_it_is_asked_for() -> None:
    assert choose_device("mps", 0, 1) == MPS
    assert choose_device("auto", 0, 1) == CPU
    settings = compose_settings(["game=tic_tac_toe", "device=mps"])
    assert choose_actor_device(settings.actors, MPS, 0) == MPS
    for name, chosen in (("cpu", CPU), ("mps", MPS)):
        settings = compose_settings(["game=tic_tac_toe", f"actors.device={name}"])
        assert choose_actor_device(settings.actors, CPU, 0) == chosen
    assert choose_device_of_contributor(ContributeSettings(device="mps")) == "mps"
    assert choose_device_of_contributor(ContributeSettings()) == "cpu"


def test_a_machine_without_one_says_so() -> None:
    actors = compose_settings(["game=tic_tac_toe", "actors.device=mps"]).actors
    for choose in (
        lambda: choose_device("mps", 0, 1),
        lambda: choose_actor_device(actors, CPU, 0),
        lambda: choose_device_of_contributor(ContributeSettings(device="mps")),
    ):
        with pytest.raises(UserError, match=r"device=mps: PyTorch sees no Apple GPU on .*silicon"):
            choose()


@pytest.mark.usefixtures("a_mac")
def test_several_ranks_are_refused_on_one_machine_and_on_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="trains with one rank, and torchrun started 2"):
        choose_device("mps", 0, 2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UserError, match="trains with one rank, and torchrun started 3"):
        join_ranks("mps").__enter__()


def test_float16_is_refused_for_training_and_allowed_for_self_play() -> None:
    words = ["game=tic_tac_toe", "device=mps"]
    with pytest.raises(UserError, match=r"^learner.precision=float16 .* device=mps"):
        compose_settings([*words, "learner.precision=float16"])
    compose_settings([*words, "actors.precision=float16"])


def test_its_actors_share_one_evaluator() -> None:
    settings = compose_settings(["+experiment=quick"])
    algorithm = load_algorithm(settings)
    assert evaluator_of_rank(settings, algorithm, "mps", 2) is not None
    assert evaluator_of_rank(settings, algorithm, "mps", 1) is None


# ------------------------------------------------------------------------ what differs


def test_its_dtypes_and_memory_format_need_nothing_that_it_lacks() -> None:
    network = torch.nn.Conv2d(2, 2, 3)
    assert narrow_dtype(MPS) == torch.float16
    game: Any = None
    assert training_dtype(network, game, 8, MPS) == torch.float32
    assert isinstance(autocast_to(torch.float32, MPS), nullcontext)
    assert fast_memory_format(MPS) == torch.contiguous_format
    assert on_device(network, CPU).weight.is_contiguous(memory_format=torch.channels_last)
    with torch.device("meta"):
        planes = torch.ones(2, 4, 3, 3)
    assert planes.contiguous(memory_format=fast_memory_format(MPS)).stride() == (36, 9, 3, 1)


def test_time_is_taken_after_its_work_is_done(a_mac: list[str]) -> None:
    synchronized_now(MPS)
    assert a_mac == ["synchronize"]
    synchronized_now(CPU)
    assert a_mac == ["synchronize"]
    assert memory_in_use(MPS) == 123 and memory_in_use(CPU) is None


def test_its_random_state_is_saved_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [torch.tensor([1, 2], dtype=torch.uint8)]
    monkeypatch.setattr(random_states, "has_apple_gpu", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", states.append)
    restore_random_state(random_state())
    assert [state.tolist() for state in states] == [[1, 2], [1, 2]]


def test_the_host_skips_a_step_there_for_optimizers_that_ignore_found_inf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch's fused ones for it did."""
    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr_factor"] = 1.0
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *shape, **_: zeros(*shape))
    step = GradientStep([optimizer], 1.0, MPS)
    before = network.weight.detach().clone()
    assert step(network(torch.ones(2)).sum() * torch.nan, 0.1).is_skipped
    assert torch.equal(network.weight, before)
    assert not step(network(torch.ones(2)).sum(), 0.1).is_skipped
    assert not torch.equal(network.weight, before)


def test_batches_go_there_unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[tuple[Any, ...]] = []

    def to(tensor: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        copies.append((*arguments, *named.items()))
        return tensor

    def pin_memory(*_: Any) -> torch.Tensor:
        raise AssertionError("pinned")

    settings = compose_settings(["game=tic_tac_toe"])
    spec = load_algorithm(settings).sample_spec()
    buffer = ReplayBuffer(spec, 64, seed=0, window_start_samples=64)
    buffer.add(noise(spec, 64, np.random.default_rng(0)))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setattr(torch.Tensor, "to", to)
    batch = BatchFeeder(buffer, 8, MPS).take()
    assert batch.keys() == spec.keys()
    assert set(copies) == {(MPS,)}


# ---------------------------------------------------------------------- its queue


@pytest.fixture
def inference() -> InferenceNetwork:
    game = load_algorithm(compose_settings(["game=tic_tac_toe"])).game
    assert isinstance(game, Game)
    torch.manual_seed(0)
    network = make_network(game, NetworkSettings(blocks=1, channels=8))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return InferenceNetwork(network, game, CPU, torch.float32)


class Mark:
    """An event that its queue passes when it is told to."""

    def __init__(self) -> None:
        self.is_passed = True

    def record(self) -> None:
        self.is_passed = False

    def query(self) -> bool:
        return self.is_passed


def test_a_queued_slot_gives_the_answers_of_the_cpus_slot(inference: InferenceNetwork) -> None:
    slots = CpuSlot(inference, 8), QueuedSlot(inference, 8, Mark())
    for num_positions in (5, 8, 1):
        packed = np.random.default_rng(num_positions).integers(
            0, 256, slots[0].observations.shape, np.uint8
        )
        answers = []
        for slot in slots:
            slot.observations[:] = packed
            slot.submit(num_positions)
            answers.append([array.copy() for array in slot.collect()])
        (logits, outcomes), (queued_logits, queued_outcomes) = answers
        assert len(logits) == len(outcomes) == num_positions
        np.testing.assert_array_equal(logits, queued_logits)
        # A CPU's slot computes the softmax by itself: equal up to rounding.
        np.testing.assert_allclose(outcomes, queued_outcomes, rtol=3e-7)
    again = slots[1].collect()
    np.testing.assert_array_equal(again[0], answers[1][0])


def test_a_queued_slot_copies_the_answers_when_they_are_collected(
    inference: InferenceNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[torch.Tensor] = []
    cpu = torch.Tensor.cpu

    def noted(tensor: torch.Tensor) -> torch.Tensor:
        copies.append(tensor)
        return cpu(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", noted)
    mark = Mark()
    slot = QueuedSlot(inference, 4, mark)
    slot.observations[:] = 1
    assert slot.is_finished()
    slot.submit(4)
    assert not copies and not slot.is_finished()
    mark.is_passed = True
    assert slot.is_finished()
    slot.collect()
    assert len(copies) == 2


def test_the_answer_to_a_batch_is_that_of_the_weights_it_was_submitted_with(
    inference: InferenceNetwork,
) -> None:
    slot = QueuedSlot(inference, 4, Mark())
    slot.observations[:] = 1
    slot.submit(4)
    before = slot.collect()[0].copy()
    slot.submit(4)
    zeros = {name: torch.zeros(shape) for name, shape in inference._shapes.items()}
    inference.load_weights(zeros)
    np.testing.assert_array_equal(slot.collect()[0], before)
    slot.submit(4)
    assert not slot.collect()[0].any() and before.any()


# ----------------------------------------------------------------------- no float64


class NoFloat64(TorchDispatchMode):
    """Raises where PyTorch computes a tensor of float64, which Apple's GPUs do not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                assert tensor.dtype not in (torch.float64, torch.complex128), func
        return result


PLUGINS = {
    "alphazero": ["+experiment=connect_four", "network.blocks=1", "network.channels=8"],
    "all heads": ["+experiment=go9", "network.blocks=1", "network.channels=8"],
    "curriculum": ["+experiment=go_curriculum", "network.blocks=1", "network.channels=8"],
    "ddpg": ["+experiment=snakes"],
}


# The boards of a curriculum take long to compile.
_SLOW = [pytest.param(name, marks=[pytest.mark.slow] * (name == "curriculum")) for name in PLUGINS]


@pytest.fixture(params=_SLOW)
def trained(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    words = ["learner.batch_size=16", "learner.precision=float32", "device=cpu"]
    settings = compose_settings([*PLUGINS[request.param], *words])
    algorithm = load_algorithm(settings)
    networks = algorithm.make_networks()
    updater = algorithm.make_updater(networks, lambda module: module, settings.learner, CPU, seed=0)
    spec = algorithm.sample_spec()
    columns = noise(spec, 16, np.random.default_rng(0))
    yield settings, updater, {name: torch.from_numpy(column) for name, column in columns.items()}


def test_a_plugin_trains_without_float64(trained: tuple[Any, Any, dict[str, Any]]) -> None:
    _, updater, batch = trained
    with NoFloat64():
        for _ in range(3):
            updater.update(batch, 1e-3)
        updater.evaluate(batch)
        updater.is_trainable(batch)
        updater.skipped_in_a_row()
    # What is float64 of these is made and kept on the CPU.
    weights = {**updater.actor_weights(), **state_tensors(updater.state())}
    weights = {name: value for name, value in weights.items() if value.dtype != torch.float64}
    with NoFloat64():
        assert weights_problem(weights) == ""


@pytest.mark.parametrize("name", ["alphazero", "all heads"])
def test_a_network_evaluates_without_float64(name: str) -> None:
    counts_points = name == "all heads"
    words = ["search.score_weight=0.5"] if counts_points else []
    settings = compose_settings([*PLUGINS[name], *words])
    game = load_algorithm(settings).game
    assert isinstance(game, Game)
    points = settings.sections["search"].points_scale(game)
    assert (points is not None) == counts_points
    network = make_network(game, settings.sections["network"], ("score",) if points else ())
    with NoFloat64():
        evaluator = NetworkEvaluator(
            network, game, 4, precision="float32", points_scale=points, random_symmetry=True
        )
        evaluator.submit(0, 3)
        evaluator.collect(0)
        evaluator.load_weights(network.state_dict())
