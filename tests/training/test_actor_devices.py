"""Which device evaluates the positions of a rank's actors, and what it must have room for."""

from __future__ import annotations

import pytest
import torch

from ddpzero.algorithms.loader import load_algorithm
from ddpzero.config.hydra import compose_settings
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError
from ddpzero.system.machine import Memory
from ddpzero.system.memory import Need
from ddpzero.training.actor_devices import choose_actor_device
from ddpzero.training.preflight import check_run_memory, needs_of_gpus, run_needs

CPU = torch.device("cpu")
GIB = 2**30


def gpu(index: int) -> torch.device:
    return torch.device("cuda", index)


def settings_with(device: str, *words: str) -> Settings:
    return compose_settings(["+experiment=connect_four", f"actors.device={device}", *words])


@pytest.fixture
def eight_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """Eight GPUs with 80 GiB; the result has the free bytes of each."""
    free = dict.fromkeys(range(8), 80 * GIB)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free[gpu.index], 80 * GIB))
    return free


@pytest.mark.usefixtures("eight_gpus")
@pytest.mark.parametrize(
    ("device", "of_ranks"),
    [
        ("auto", [0, 1, 2, 3]),
        ("cuda", [0, 1, 2, 3]),
        ("cuda:4", [4, 4, 4, 4]),
        ("cuda:4-7", [4, 5, 6, 7]),
        ("cuda:6-7", [6, 7, 6, 7]),
    ],
)
def test_the_ranks_of_a_node_take_the_gpus_of_self_play_in_turn(
    device: str, of_ranks: list[int]
) -> None:
    actors = settings_with(device).actors
    chosen = [choose_actor_device(actors, gpu(rank), rank, 4) for rank in range(4)]
    assert chosen == [gpu(index) for index in of_ranks]


@pytest.mark.usefixtures("eight_gpus")
def test_a_learner_on_the_cpu_leaves_all_gpus_to_self_play() -> None:
    actors = settings_with("cuda:0-1").actors
    assert [choose_actor_device(actors, CPU, rank, 2) for rank in (0, 1)] == [gpu(0), gpu(1)]


@pytest.mark.usefixtures("eight_gpus")
@pytest.mark.parametrize(
    ("device", "num_ranks", "sentence"),
    [
        ("cuda:8", 4, r"^actors.device=cuda:8: there is no cuda:8 here, only cuda:0 to cuda:7"),
        ("cuda:4-11", 4, r"^actors.device=cuda:4-11: there is no cuda:11 here"),
        ("cuda:0", 1, r"^actors.device=cuda:0: a rank trains on cuda:0, .* of its 1 rank\(s\)"),
        ("cuda:3-7", 4, r"^actors.device=cuda:3-7: a rank trains on cuda:3"),
        ("cuda:2-7", 2, r"^actors.device=cuda:2-7 names 6 GPUs for 2 rank\(s\)"),
    ],
)
def test_gpus_that_self_play_cannot_have_are_refused(
    device: str, num_ranks: int, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        choose_actor_device(settings_with(device).actors, gpu(0), 0, num_ranks)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:7-4", "cuda:1,2", "cuda:-1", "cuda:1-"])
def test_other_names_of_devices_are_refused_with_those_that_there_are(device: str) -> None:
    with pytest.raises(UserError, match=r"must be auto, cpu, cuda, mps, a GPU \(cuda:1\), or GPUs"):
        compose_settings(["+experiment=connect_four", f"actors.device='{device}'"])


def test_a_gpu_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"actors.device=cuda:1: PyTorch sees no GPU here"):
        choose_actor_device(settings_with("cuda:1").actors, CPU, 0)


# -------------------------------------------------------------------------- memory


def size_of(needs: list[Need], *, on_gpu: bool, what: str = "") -> int:
    return sum(n.size_bytes for n in needs if n.on_gpu == on_gpu and what in n.what)


def needs_with(has_evaluator: bool, num_actors: int = 8) -> list[Need]:
    settings = settings_with("cuda")
    algorithm = load_algorithm(settings)
    return run_needs(settings, algorithm, num_actors, True, True, has_evaluator=has_evaluator)


def test_one_evaluator_needs_one_network_and_one_context_and_its_actors_no_torch() -> None:
    local, shared, alone = needs_with(False), needs_with(True), needs_with(False, num_actors=1)
    for on_gpu in (False, True):
        networks = [size_of(n, on_gpu=on_gpu, what="actors' networks") for n in (shared, alone)]
        assert networks[0] == networks[1] > 0
    context = 500 * 2**20
    assert size_of(local, on_gpu=True, what="actors' processes") == 8 * context
    assert size_of(shared, on_gpu=True, what="actors' processes") == context
    # The evaluator's process is one more.
    saved = size_of(local, on_gpu=False, what="processes") - size_of(
        shared, on_gpu=False, what="processes"
    )
    assert saved == (8 * (195 - 60) - 195) * 2**20
    batches = [size_of(needs, on_gpu=True, what="actors' batches") for needs in (local, shared)]
    assert batches[0] == batches[1] > 0


def test_what_actors_need_counts_on_their_own_gpu() -> None:
    needs = needs_with(True)
    by_gpu = needs_of_gpus(needs, gpu(0), gpu(4))
    of_actors = {need.what for need in by_gpu[gpu(4)]}
    assert of_actors == {
        "for the actors' processes",
        "for the actors' networks",
        "for the actors' batches",
    }
    assert not of_actors & {need.what for need in by_gpu[gpu(0)]}
    assert needs_of_gpus(needs, gpu(0), gpu(0)).keys() == {gpu(0)}
    assert needs_of_gpus(needs, CPU, gpu(4)).keys() == {gpu(4)}


def test_a_full_gpu_of_self_play_is_told_from_that_of_the_learner(
    eight_gpus: dict[int, int],
) -> None:
    settings = settings_with("cuda:4", "evaluator=shared", "replay.capacity=100000")
    machine = Memory(64 * GIB, 64 * GIB)

    def check(num_ranks: int) -> list[str]:
        return check_run_memory(settings, 8, gpu(0), gpu(4), num_ranks, machine)

    assert check(1) == []
    eight_gpus[4] = GIB
    assert check(1) == []
    # Of two ranks, whose evaluators share it.
    with pytest.raises(UserError, match=r"\(2 ranks\) .* on GPU 4, which has 1.0 GiB free"):
        check(2)
    eight_gpus[0] = 2**20
    with pytest.raises(UserError, match=r"on GPU 0, which has 0.0 GiB free"):
        check(1)
