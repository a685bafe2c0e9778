"""Positions from a rank's actors to its evaluator process, and the answers, through shared memory.

    head      int64 words per lane: numbers of the newest request and of the newest answer, rows, kind, versions
    lanes     of each actor some, each with room for one request: inputs, and the outputs that answer it

An actor writes the inputs of a request into a lane, counts the request, and wakes the evaluator by a byte in the rank's
pipe. The evaluator writes the outputs, counts the answer, and wakes the actor by a byte in a pipe of its own. A fence
stands before each count and after each look at one, for both sides may look before they are woken. What was asked and
not answered stays in the memory: an evaluator that replaces a dead one finds it there, so nothing is lost and nobody
asks twice. It wakes all actors first: one of them may have an answer already, and not know it. An actor that replaces a
dead one goes on counting where that one stopped, and so does not take the answer to its last request.

Neither the memory (system/shared_memory.py) nor the pipes have names, so nothing is left behind after a kill.
"""

from __future__ import annotations

import mmap
import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import assert_spawning
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

from ddpzero.system.shared_memory import fence, open_shared

# Words of a lane, each lane on a cache line of its own.
_REQUESTED, _ANSWERED, _NUM_ROWS, _KIND, _WANTED_VERSION, _USED_VERSION = range(6)
_WORDS_PER_LANE = 8
_ALIGNMENT = 64
_READ_BYTES = 1 << 16
_WAKE = b"\0"
_CLOSED = -1
# To look for an answer or a request before sleeping.
_SPIN_SECONDS = 30e-6
_SHORTEST_POLL_SECONDS, _SHORT_SLEEP_SECONDS = 2e-3, 50e-6


@dataclass(frozen=True)
class LaneSize:
    """lanes_per_actor: requests that an actor can have in flight. input_bytes, output_floats: the room of a lane."""

    lanes_per_actor: int
    input_bytes: int
    output_floats: int


@dataclass(frozen=True)
class Request:
    """A request in a lane. number: counted per lane. kind: what the actor asks, as it and the evaluator agreed.

    wanted_version: the least weights_version of the answer.
    """

    lane: int
    number: int
    num_rows: int
    kind: int
    wanted_version: int


class Exchange:
    """The shared memory of a rank and its pipes. The rank makes it; processes that it starts inherit it."""

    def __init__(self, num_actors: int, size: LaneSize) -> None:
        self.num_actors = num_actors
        self.size = size
        try:
            self._fd = open_shared("exchange", self.size_bytes)
        except OSError as error:
            raise RuntimeError(
                f"{self.size_bytes / 2**20:.0f} MiB of shared memory for positions cannot be allocated: "
                f"{error.strerror}. Lower actors.num_games or actors.num_actors, or use evaluator=local."
            ) from error
        self._requests = os.pipe()
        self._wakes = [os.pipe() for _ in range(num_actors)]
        # An end that nobody reads for a while must not stop who writes.
        for fd in (*self._requests, *(write for _, write in self._wakes)):
            os.set_blocking(fd, False)
        self._map()

    @property
    def num_lanes(self) -> int:
        return self.num_actors * self.size.lanes_per_actor

    @property
    def size_bytes(self) -> int:
        """Shared memory of the whole exchange."""
        return self._head_bytes + self.num_lanes * self._lane_bytes

    def lane(self, actor_index: int, number: int) -> Lane:
        """Actor: return one of its lanes, 0 .. lanes_per_actor - 1."""
        index = actor_index * self.size.lanes_per_actor + number
        wake = self._wakes[actor_index][0]
        return Lane(self._words[index], *self._room(index), self._requests[1], wake)

    def inputs(self, lane: int) -> np.ndarray:
        """Evaluator: the inputs of a lane, `[input_bytes]` uint8."""
        return self._room(lane)[0]

    def outputs(self, lane: int) -> np.ndarray:
        """Evaluator: where the answer of a lane goes, `[output_floats]` float32."""
        return self._room(lane)[1]

    def open_requests(self) -> list[Request]:
        """Evaluator: return all requests that are not answered."""
        words = self._words
        lanes = np.flatnonzero(_is_open(words))
        fence()
        return [self._request(int(lane)) for lane in lanes]

    def wait_for_requests(self, timeout_seconds: float, at_least: int = 1) -> int:
        """Evaluator: return the number of requests that are not answered, once it is so large, or after so long."""
        started = time.perf_counter()
        until = started + timeout_seconds
        while (num_open := int(np.count_nonzero(_is_open(self._words)))) < at_least:
            now = time.perf_counter()
            if now >= until:
                break
            if now >= started + _SPIN_SECONDS:
                self._sleep(until - now)
        return num_open

    def _sleep(self, seconds: float) -> None:
        """Sleep until something is asked, or for so long."""
        # A poll lasts whole milliseconds.
        if seconds < _SHORTEST_POLL_SECONDS:
            time.sleep(min(seconds, _SHORT_SLEEP_SECONDS))
            return
        self._poller.poll(seconds * 1000)
        # Whoever asked has counted the request before.
        with suppress(BlockingIOError):
            os.read(self._requests[0], _READ_BYTES)

    def answer(self, request: Request, used_version: int) -> None:
        """Evaluator: say that the outputs of a request are written. used_version: of the weights that gave them."""
        words = self._words[request.lane]
        words[_USED_VERSION] = used_version
        fence()
        words[_ANSWERED] = request.number
        # Full: the actor finds enough in there to wake up.
        with suppress(BlockingIOError):
            os.write(self._wakes[request.lane // self.size.lanes_per_actor][1], _WAKE)

    def leave_answers_to_others(self) -> None:
        """Only the processes that inherited this exchange answer from now on: when the last one ends, `wait` raises.

        For who asks and also started the evaluator: nobody else would notice its end.
        """
        for number, (read, write) in enumerate(self._wakes):
            os.close(write)
            self._wakes[number] = (read, _CLOSED)

    def wake_all(self) -> None:
        """Evaluator: wake every actor, at the start: the one before may have died between an answer and its wake-up."""
        for _, write in self._wakes:
            with suppress(BlockingIOError):
                os.write(write, _WAKE)

    def close(self) -> None:
        """Free the memory as soon as no array refers to it."""
        if self._fd >= 0:
            del self._words, self._memory
            for fd in (self._fd, *self._requests, *(fd for pair in self._wakes for fd in pair)):
                if fd != _CLOSED:
                    os.close(fd)
            self._fd = -1

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        assert_spawning(self)
        return {
            "num_actors": self.num_actors,
            "size": self.size,
            "fd": DupFd(self._fd),
            "requests": [DupFd(fd) for fd in self._requests],
            "wakes": [[DupFd(fd) for fd in pair] for pair in self._wakes],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.num_actors = state["num_actors"]
        self.size = state["size"]
        self._fd = state["fd"].detach()
        self._requests = tuple(fd.detach() for fd in state["requests"])
        self._wakes = [tuple(fd.detach() for fd in pair) for pair in state["wakes"]]
        self._map()

    @property
    def _head_bytes(self) -> int:
        return self.num_lanes * _WORDS_PER_LANE * 8

    @property
    def _input_room(self) -> int:
        return _aligned(self.size.input_bytes)

    @property
    def _lane_bytes(self) -> int:
        return self._input_room + _aligned(4 * self.size.output_floats)

    def _map(self) -> None:
        self._memory = mmap.mmap(self._fd, self.size_bytes)
        self._words = np.frombuffer(
            self._memory, np.int64, self.num_lanes * _WORDS_PER_LANE
        ).reshape(self.num_lanes, _WORDS_PER_LANE)
        self._poller = select.poll()
        self._poller.register(self._requests[0], select.POLLIN)

    def _room(self, lane: int) -> tuple[np.ndarray, np.ndarray]:
        start = self._head_bytes + lane * self._lane_bytes
        inputs = np.frombuffer(self._memory, np.uint8, self.size.input_bytes, start)
        outputs = np.frombuffer(
            self._memory, np.float32, self.size.output_floats, start + self._input_room
        )
        return inputs, outputs

    def _request(self, lane: int) -> Request:
        words = self._words[lane]
        return Request(
            lane,
            int(words[_REQUESTED]),
            int(words[_NUM_ROWS]),
            int(words[_KIND]),
            int(words[_WANTED_VERSION]),
        )


class Lane:
    """An actor's end of a lane. inputs: `[input_bytes]` uint8. outputs: `[output_floats]` float32."""

    def __init__(
        self,
        words: np.ndarray,
        inputs: np.ndarray,
        outputs: np.ndarray,
        request_fd: int,
        wake_fd: int,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._words = words
        self._request_fd = request_fd
        self._wake_fd = wake_fd
        # Of the actor that this one replaces.
        self._num_requests = int(words[_REQUESTED])

    def submit(self, num_rows: int, kind: int, wanted_version: int) -> None:
        """Ask for an answer to the first rows of the inputs. Do not write to them before it has come."""
        words = self._words
        words[_NUM_ROWS], words[_KIND], words[_WANTED_VERSION] = num_rows, kind, wanted_version
        self._num_requests += 1
        fence()
        words[_REQUESTED] = self._num_requests
        # Full: the evaluator finds enough in there to look at all lanes.
        with suppress(BlockingIOError):
            os.write(self._request_fd, _WAKE)

    def wait(self) -> int:
        """Wait for the answer; return the weights_version that gave it. The outputs stay until the next `submit`.

        Raises EOFError if nobody is left who could answer.
        """
        words = self._words
        # Sleeping and waking up takes longer than some answers.
        until = time.perf_counter() + _SPIN_SECONDS
        while words[_ANSWERED] != self._num_requests and time.perf_counter() < until:
            pass
        while words[_ANSWERED] != self._num_requests:
            # Returns at any answer to this actor, and after answers that it did not wait for.
            if not os.read(self._wake_fd, _READ_BYTES):
                raise EOFError("no process is left that answers.")
        fence()
        return int(words[_USED_VERSION])


def _is_open(words: np.ndarray) -> np.ndarray:
    """Return which lanes have a request that is not answered, `[num_lanes]`."""
    return words[:, _REQUESTED] != words[:, _ANSWERED]


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT
