import weakref

import pytest
import torch
from fakes import FakeStreams

from ddpzero.evaluators.slots import CudaSlot, batch_sizes
from ddpzero.games import load_game


@pytest.mark.parametrize(
    ("max_batch", "sizes"),
    [
        (1, [1]),
        (2, [1, 2]),
        (128, [1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128]),
        (100, [1, 2, 4, 8, 13, 26, 39, 52, 65, 78, 91, 100]),
    ],
)
def test_batches_come_in_few_sizes(max_batch, sizes):
    assert batch_sizes(max_batch) == sizes


@pytest.mark.parametrize("max_batch", [64, 256, 512, 1000])
def test_at_most_an_eighth_of_the_largest_batch_is_filled_up(max_batch):
    sizes = batch_sizes(max_batch)
    for num_positions in range(1, max_batch + 1):
        size = next(size for size in sizes if size >= num_positions)
        assert size - num_positions < max(max_batch / 8 + 1, num_positions)


class FakeNetwork:
    """Answers of the inputs' first byte; `compute` records in which stream it runs."""

    game = load_game("tic_tac_toe")
    device = torch.device("cpu")

    def __init__(self, streams: FakeStreams) -> None:
        self.streams = streams

    def compute(self, inputs: torch.Tensor, num_rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.streams.do(f"{num_rows} rows of {inputs.data_ptr()}")
        first = inputs[:num_rows, :1].float()
        answers = first.repeat(1, self.game.num_actions), first.repeat(1, 3)
        self.answers = [weakref.ref(each) for each in answers]
        return answers


def fake_slots(number: int) -> tuple[list[CudaSlot], FakeStreams]:
    network = FakeNetwork(streams := FakeStreams())
    slots = [CudaSlot(network, 8, streams, network.compute) for _ in range(number)]  # type: ignore[arg-type]
    return slots, streams


def test_each_step_of_a_batch_waits_for_the_one_before_in_another_stream():
    (slot,), streams = fake_slots(1)
    # Inputs and weights were written in the default stream.
    assert streams.calls == ["copy_in waits for default", "compute waits for default"]
    streams.calls.clear()
    slot.observations[:3] = 9
    slot.submit(3)
    assert [call.partition(" rows")[0] for call in streams.calls] == [
        "copy_in marks 0",
        "compute waits for 0",
        "compute: 3",
        "compute marks 1",
        "copy_out waits for 1",
        "copy_out marks 2",
    ]
    streams.calls.clear()
    logits, outcomes = slot.collect()
    assert streams.calls == ["host waits for 2"]
    assert logits.tolist() == [[9.0] * 9] * 3 and outcomes.tolist() == [[9.0] * 3 + [0.0]] * 3


def test_two_slots_share_streams_but_no_memory_and_do_not_wait_for_each_other():
    slots, streams = fake_slots(2)
    streams.calls.clear()
    for value, slot in enumerate(slots):
        slot.observations[:8] = value + 1
        slot.submit(8)
    waits = [call for call in streams.calls if "waits" in call]
    assert waits == [
        *("compute waits for 0", "copy_out waits for 1"),
        *("compute waits for 3", "copy_out waits for 4"),
    ]
    places = {call.rpartition(" ")[2] for call in streams.calls if "rows" in call}
    assert len(places) == 2
    assert [slot.collect()[0][7, 0] for slot in slots] == [1.0, 2.0]


def test_a_slot_is_finished_when_its_answers_are_copied_out():
    (slot,), streams = fake_slots(1)
    slot.submit(8)
    copied_in, computed, copied_out = streams.events
    copied_in.is_done = computed.is_done = True
    assert not slot.is_finished()
    copied_out.is_done = True
    assert slot.is_finished()


def test_new_weights_wait_for_batches_under_way_and_later_batches_for_them():
    slots, streams = fake_slots(2)
    slots[0].submit(8)
    streams.calls.clear()
    for slot in slots:
        slot.wait_before_weights_change()
    streams.do("weights")
    for slot in slots:
        slot.wait_for_changed_weights()
    slots[1].submit(8)
    before, after = streams.calls[: streams.calls.index("default: weights")], streams.calls
    assert set(before) == {"default waits for compute"}
    after = after[len(before) + 1 :]
    computes = next(i for i, call in enumerate(after) if call.startswith("compute: "))
    assert "compute waits for default" in after[:computes]


def test_answers_are_kept_until_they_are_copied():
    # A tensor that is freed in its stream may be overwritten while another stream still reads it.
    network = FakeNetwork(streams := FakeStreams())
    slot = CudaSlot(network, 8, streams, network.compute)  # type: ignore[arg-type]
    slot.submit(8)
    assert all(each() is not None for each in network.answers)
