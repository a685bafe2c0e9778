"""The newest weights win, none are torn, nobody waits, and nothing is left behind."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ddpzero.actors import NOTHING_PUBLISHED, WeightsChannel


def weights(value: float) -> dict[str, np.ndarray]:
    return {
        "tower.weight": np.full((3, 5), value, np.float32),
        "count": np.array(int(value)),
        "flags": np.array([True, False, True]),
    }


def test_nothing_is_received_before_the_first_publish():
    with WeightsChannel(weights(0)) as channel:
        assert channel.receive() is None
        assert channel.weights_version == NOTHING_PUBLISHED


def test_the_newest_weights_win_and_come_once():
    with WeightsChannel(weights(0)) as channel:
        for version in (3, 4, 9):
            channel.publish(weights(version), version)
        received, version = channel.receive(newer_than=3)
        assert version == channel.weights_version == 9
        for name, array in weights(9).items():
            assert received[name].dtype == array.dtype
            np.testing.assert_array_equal(received[name], array)
        assert channel.receive(newer_than=9) is None


def test_received_weights_do_not_change_with_later_publishes():
    with WeightsChannel(weights(0)) as channel:
        channel.publish(weights(1), 1)
        received, _ = channel.receive()
        for version in range(2, 6):
            channel.publish(weights(version), version)
        np.testing.assert_array_equal(received["tower.weight"], weights(1)["tower.weight"])


def test_torch_tensors_are_published_as_they_are():
    torch = pytest.importorskip("torch")
    module = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    with WeightsChannel(module.state_dict()) as channel:
        channel.publish(dict(module.named_parameters()), 1)
        received, _ = channel.receive()
        np.testing.assert_array_equal(received["weight"], module.weight.detach().numpy())


def test_another_layout_is_refused_and_the_last_weights_stay():
    with WeightsChannel(weights(0)) as channel:
        channel.publish(weights(1), 1)
        wrong_shape = {**weights(2), "tower.weight": np.zeros((5, 3), np.float32)}
        with pytest.raises(ValueError, match=r"tower\.weight are float32\[5, 3\]"):
            channel.publish(wrong_shape, 2)
        with pytest.raises(ValueError, match="count"):
            channel.publish({"count": np.array(1)}, 2)
        assert channel.receive()[1] == 1
        channel.publish(weights(3), 3)
        assert channel.receive()[1] == 3


def test_weights_of_each_layout_are_received_as_they_were_published():
    larger = {**weights(2), "tower.weight": np.full((7, 5), 2, np.float32), "more": np.ones(2)}
    with WeightsChannel(weights(0), larger) as channel:
        for version, published in enumerate([weights(1), larger, weights(3), larger]):
            channel.publish(published, version)
            received, _ = channel.receive()
            assert received.keys() == published.keys()
            for name, array in published.items():
                np.testing.assert_array_equal(received[name], array)
        with pytest.raises(ValueError, match="more"):
            channel.publish({**weights(4), "more": np.ones(2)}, 4)


def check_weights(channel: WeightsChannel, answers, num_versions: int) -> None:
    """In a process of its own: every array that is received must be of one piece."""
    version = NOTHING_PUBLISHED
    num_received = num_torn = 0
    while version < num_versions:
        received = channel.receive(newer_than=version)
        if received is None:
            continue
        arrays, newer = received
        num_received += 1
        num_torn += not all((array == newer).all() for array in arrays.values())
        num_torn += newer <= version
        version = newer
    answers.send((num_received, num_torn))


def test_no_reader_ever_sees_torn_weights():
    """A writer in a thread at full speed against a reader process: 400 kB that all say their version."""
    num_versions = 4000
    example = {f"layer{i}": np.zeros((50, 500), np.float32) for i in range(4)}
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with WeightsChannel(example) as channel:
        reader = context.Process(target=check_weights, args=(channel, theirs, num_versions))
        reader.start()

        def publish_all() -> None:
            while channel.weights_version < num_versions:
                version = channel.weights_version + 1
                channel.publish({n: np.full_like(a, version) for n, a in example.items()}, version)
                if version < 3:
                    time.sleep(1.0)  # the reader's process is starting

        writer = threading.Thread(target=publish_all)
        writer.start()
        assert mine.poll(60)
        num_received, num_torn = mine.recv()
        writer.join()
        reader.join()
    mine.close()
    theirs.close()
    assert num_torn == 0
    assert num_received > 10


def write_into(channel: WeightsChannel, answers) -> None:
    try:
        channel.publish(weights(2), 2)
    except ValueError as error:
        answers.send(str(error))


def test_actors_cannot_write():
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    with WeightsChannel(weights(0)) as channel:
        reader = context.Process(target=write_into, args=(channel, theirs))
        reader.start()
        assert mine.poll(30) and "read-only" in mine.recv()
        reader.join()
    mine.close()
    theirs.close()


def test_it_has_no_name_in_the_file_system_and_gives_its_descriptor_back():
    before = len(os.listdir("/proc/self/fd"))
    names_before = set(Path("/dev/shm").iterdir())
    with WeightsChannel(weights(0)):
        assert set(Path("/dev/shm").iterdir()) == names_before
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_that_cannot_be_had_is_reported_at_construction(monkeypatch):
    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(RuntimeError, match=r"MiB of shared memory.*No space left.*smaller network"):
        WeightsChannel(weights(0))
