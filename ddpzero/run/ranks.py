"""The ranks of one run and their communication apart from gradients: barriers, votes, broadcasts, sums of metrics.

All of it goes through a gloo side group on the CPU, so that no message waits behind GPU work. A RankError names a rank
that does not arrive in one sentence. Nothing is ever pickled: values travel as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ddpzero.run.differences import differences
from ddpzero.run.liveness import Address, address_of, open_listener
from ddpzero.run.roll_call import Failure, Links, RollCall
from ddpzero.system.devices import choose_device, require_one_rank
from ddpzero.system.errors import UserError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

logger = logging.getLogger(__name__)

# NCCL waits longer, so that a rank that hangs shows in the side group first: its error names the rank, whereas NCCL's
# watchdog only aborts.
_NCCL_GRACE_SECONDS = 120.0


class RankError(RuntimeError):
    """A rank did not arrive or has died. The message names it and its log file."""


class Vote(NamedTuple):
    """What ranks agree on. flags: whether any rank set each. sums: of each count. limit: the least of all ranks."""

    flags: list[bool]
    sums: list[int]
    limit: int


def columns(rows: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return name -> the values in those rows that have the name."""
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


@dataclass(frozen=True)
class Ranks:
    """This rank and its connections to the others. Names have torchrun's meanings.

    All ranks must call every method but `wrap` together. node: this machine's host name. device: what this rank trains
    on. machine_cores: that all ranks of this machine may use together; None: what this process may use. _links: None
    for a single rank.
    """

    rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    node: str
    device: torch.device
    timeout_seconds: float
    _links: Links | None = field(default=None, repr=False)
    machine_cores: int | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which writes checkpoints, events and the console."""
        return self.rank == 0

    def barrier(self, name: str) -> None:
        """Wait for every rank. name: of the place, for error messages ("epoch 3")."""
        if self._links is not None:
            with self.watch(name):
                dist.monitored_barrier(
                    self._links.control,
                    timeout=timedelta(seconds=self.timeout_seconds),
                    wait_all_ranks=True,
                )

    def any_rank(self, flag: bool) -> bool:
        """Return whether the flag is set at any rank."""
        return self.any_flags([flag])[0]

    def any_flags(self, flags: Sequence[bool]) -> list[bool]:
        """Return for each flag whether it is set at any rank, with one message for all flags."""
        return self.vote(flags, []).flags

    def vote(self, flags: Sequence[bool], counts: Sequence[int], limit: int = 0) -> Vote:
        """Exchange flags, counts and a limit with one message of 64-bit integers."""
        if self._links is None:
            return Vote([bool(flag) for flag in flags], list(counts), limit)
        numbers = torch.tensor([*(int(flag) for flag in flags), *counts, limit], dtype=torch.int64)
        with self.watch("the vote before a step"):
            rows = self._exchange(numbers)
        *sums, _ = rows.sum(0).tolist()
        flags_of_any = [number > 0 for number in sums[: len(flags)]]
        return Vote(flags_of_any, sums[len(flags) :], int(rows[:, -1].min()))

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's JSON-able value at every rank; the values of other ranks are ignored."""
        if self._links is None:
            return json.loads(json.dumps(value))
        message = _encode(value) if self.is_first else torch.empty(0, dtype=torch.uint8)
        size = torch.tensor([message.numel()])
        with self.watch("a broadcast"):
            dist.broadcast(size, src=0, group=self._links.control)
            if not self.is_first:
                message = torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(message, src=0, group=self._links.control)
        return _decode(message)

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's JSON-able value, in the order of ranks, at every rank. Meant for a few kilobytes."""
        if self._links is None:
            return [json.loads(json.dumps(value))]
        message = _encode(value)
        with self.watch("a gather"):
            sizes = self._exchange(torch.tensor([message.numel()])).flatten().tolist()
            padded = torch.zeros(max(sizes), dtype=torch.uint8)
            padded[: message.numel()] = message
            messages = self._exchange(padded)
        return [_decode(row[:size]) for row, size in zip(messages, sizes, strict=True)]

    def _exchange(self, row: torch.Tensor) -> torch.Tensor:
        """Return every rank's row `[n]`, in the order of ranks, `[world_size, n]`, at every rank.

        gloo passes the parts of an all-reduce or an all-gather around a ring, rank by rank: between eight ranks that
        takes five times as long as to gather the rows at rank 0 and to broadcast them along a tree.
        """
        assert self._links is not None
        rows = torch.empty((self.world_size, *row.shape), dtype=row.dtype)
        dist.gather(row, list(rows) if self.is_first else None, dst=0, group=self._links.control)
        dist.broadcast(rows, src=0, group=self._links.control)
        return rows

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the sum of each value over ranks. A rank may lack names that another has."""
        rows = self.gather({name: float(value) for name, value in values.items()})
        return {name: sum(values) for name, values in columns(rows).items()}

    def check_same_config(self, config: Mapping[str, Any]) -> None:
        """Raise UserError at every rank, with the keys, if the config of any rank differs from rank 0's."""
        own = json.loads(json.dumps(config))
        first = self.broadcast(own)
        differing = [f"{path}={b!r} ({a!r})" for path, a, b in differences(first, own)]
        for rank, entries in enumerate(self.gather(differing)):
            if entries and self._links is not None:
                raise UserError(
                    f"{self._links.title(rank)} has a different config than rank 0 (rank 0's values in parentheses): "
                    f"{', '.join(entries)}. Start every rank with the same command."
                )

    def wrap(self, module: torch.nn.Module) -> torch.nn.Module:
        """Return the module in DistributedDataParallel, which keeps parameters equal; a single rank gets the module."""
        if self._links is None:
            return module
        # Without static_graph: it fails (an internal assertion of PyTorch 2.13) if the first backward pass is one of
        # no_sync, as with learner.gradient_accumulation, and two gloo ranks with small networks were not faster (21
        # instead of 24 ms, 37 of 36, 21 of 19). Nor were they with buckets of 1 or 100 MB.
        wrapped = torch.nn.parallel.DistributedDataParallel(
            module,
            device_ids=[self.device.index] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )
        # Buffers that are not saved are constants, equal on all ranks: a broadcast of them with each forward pass would
        # be a message for nothing. The argument of this name is deprecated, and its successor new in PyTorch 2.13.
        saved = module.state_dict().keys()
        wrapped.broadcast_buffers = any(name in saved for name, _ in module.named_buffers())
        return wrapped

    @contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """Turn the failure of a collective inside the block into a RankError that names the missing ranks.

        It also serves for an update under gloo: `with ranks.watch("update"): updater.update(...)`.
        """
        start = time.monotonic()
        try:
            yield
        except RuntimeError as error:
            if self._links is None or not _is_collective_failure(error):
                raise
            roll_call = RollCall(self.rank, self._links, self.timeout_seconds)
            failure = Failure(name, time.monotonic() - start, error)
            raise RankError(roll_call.explain(failure)) from error

    def is_first_to_report(self, failure: str) -> bool:
        """Return whether this rank is the first one to report a failure, and should print it.

        Waits for no rank. Unlike other methods, a single rank may call it. failure: the sentence, stored for ranks that
        wait for this one.
        """
        if self._links is None:
            return True

        def report(store: Store) -> int:
            store.set(f"failure/{self.rank}", failure)
            return store.add("failure/reports", 1)

        try:
            return self._links.ask_store(report) == 1
        except RuntimeError:
            # The store is gone, and so is its host, rank 0: the next rank on each node prints.
            hosts_rank_0 = self._links.nodes[0] == self.node
            return self.local_rank == (1 if hosts_rank_0 else 0)


@contextmanager
def join_ranks(device: str = "auto", timeout_seconds: float = 600.0) -> Iterator[Ranks]:
    """Connect the ranks that torchrun started within the block; without torchrun, yield a single rank.

    device: see choose_device. timeout_seconds: how long a rank waits for another in any collective.
    Raises UserError for a missing device, RankError if the ranks do not find each other.
    """
    rank = int(os.environ.get("RANK", 0))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    local_world_size = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    node = socket.gethostname()
    chosen = choose_device(device, local_rank, local_world_size)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    elif chosen.type == "mps":
        require_one_rank(world_size)
    here = (rank, local_rank, world_size, local_world_size, node, chosen, timeout_seconds)
    if world_size == 1:
        yield Ranks(*here)
        return

    _warn_of_shared_store()
    links = _connect(rank, world_size, node, chosen, timeout_seconds)
    ranks = Ranks(*here, _links=links)
    try:
        yield ranks
        ranks.barrier("the end of the run")
    # Every rank raises the same UserError, so none waits for another.
    except UserError:
        _disconnect(links)
        raise
    # After any other exception the group is not destroyed: others may wait in it, and destroying it could wait for
    # them, while torchrun waits for this process to end before it stops them.
    _disconnect(links)


def _connect(
    rank: int, world_size: int, node: str, device: torch.device, timeout_seconds: float
) -> Links:
    """Create the process group of gradients (the default one) and the side group."""
    on_gpu = device.type == "cuda"
    patience = timedelta(seconds=timeout_seconds)
    try:
        store, _, _ = next(rendezvous("env://", timeout=patience))
        store.set_timeout(patience)
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=world_size,
            timeout=timedelta(seconds=timeout_seconds + (_NCCL_GRACE_SECONDS if on_gpu else 0)),
            device_id=device if on_gpu else None,
        )
        control = dist.new_group(backend="gloo", timeout=patience)
        listener = open_listener(world_size)
        store.set(f"place/{rank}", json.dumps([node, *address_of(listener)]))
        places = [json.loads(store.get(f"place/{other}")) for other in range(world_size)]
    except RuntimeError as error:
        address = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise RankError(
            f"rank {rank} of {world_size} on node {node} did not connect to the others at {address} within "
            f"{timeout_seconds:g} s. Check in logs/ whether a rank failed before, that every node reaches that "
            f"address, and that GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name the right network. ({error})"
        ) from error
    nodes = tuple(place[0] for place in places)
    addresses = tuple(Address(*place[1:]) for place in places)
    return Links(control, store, nodes, listener, addresses)


def _disconnect(links: Links) -> None:
    links.listener.close()
    dist.destroy_process_group()


def _warn_of_shared_store() -> None:
    """Warn if the ranks use the store of torchrun's agents: on several nodes a restarted group can read stale keys."""
    on_many_nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1)) > 1
    if on_many_nodes and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        logger.warning(
            "torchrun shares its store with the ranks: after a restart they may read keys of the previous group. "
            "Start torchrun with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1, as launch/slurm_many_nodes.sbatch does."
        )


def _is_collective_failure(error: RuntimeError) -> bool:
    """Return whether an error comes from a collective; gloo raises plain RuntimeErrors, known only by their text."""
    text = str(error)
    return isinstance(error, dist.DistError) or any(
        mark in text
        for mark in (
            "gloo",
            "monitoredBarrier",
            "Connection closed by peer",
            "Application timeout caused pair closure",
        )
    )


def _encode(value: Any) -> torch.Tensor:
    """Return a JSON-able value as a uint8 tensor."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def _decode(message: torch.Tensor) -> Any:
    return json.loads(message.numpy().tobytes())
