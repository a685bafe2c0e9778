"""Finds out why a collective failed: which ranks have died, which do not arrive, and which merely wait for others.

ranks.py calls `RollCall.explain` on each rank whose collective failed. The ranks agree through the store, so that all
of them name the same ones.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist

from ddpzero.run.liveness import Address, Watch

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

# How long a rank whose collective failed waits for the reports of the others.
_ROLL_CALL_SECONDS = 5.0
# The store answers within milliseconds, or after a pause of its host.
_STORE_SECONDS = 5.0
# Ranks that died together, as with their node, are found within this time of each other.
_TOGETHER_SECONDS = 0.5
_LOOK_SECONDS = 0.1
# No message of ours has this tag.
_UNUSED_TAG = 1_906

T = TypeVar("T")


@dataclass(frozen=True)
class Links:
    """The connections of a run with several ranks.

    control: the gloo side group. nodes: host name of each rank. listener, addresses: this rank's and everyone's, see
    liveness.py.
    """

    control: dist.ProcessGroup
    store: Store
    nodes: tuple[str, ...]
    listener: socket.socket
    addresses: tuple[Address, ...]

    def title(self, rank: int) -> str:
        """Return a rank's name for messages."""
        return f"rank {rank} (node {self.nodes[rank]})"

    def ask_store(self, question: Callable[[Store], T]) -> T:
        """Return what a function of the store returns. Raises RuntimeError if the store is unreachable or silent.

        torchrun's agent or rank 0 hosts the store: its host has died or hangs. The store itself would wait forever.
        """
        answer: Future[T] = Future()
        Thread(target=_answer, args=(answer, question, self.store), daemon=True).start()
        try:
            return answer.result(_STORE_SECONDS)
        except TimeoutError as error:
            raise RuntimeError(f"the store did not answer within {_STORE_SECONDS:g} s") from error


@dataclass(frozen=True)
class Failure:
    """A failed collective. place: its name for the user. waited_seconds: how long this rank waited in it."""

    place: str
    waited_seconds: float
    error: RuntimeError


@dataclass(frozen=True)
class Verdict:
    """Why a collective failed. ranks: the ones to blame, [] if only connections failed. is_gone: whether they died.

    witness: the rank that found out.
    """

    ranks: list[int]
    is_gone: bool
    witness: int


class RollCall:
    """What a rank does whose collective failed. timeout_seconds: how long collectives wait."""

    def __init__(self, rank: int, links: Links, timeout_seconds: float) -> None:
        self._rank = rank
        self._links = links
        self._timeout_seconds = timeout_seconds
        self._others = [other for other in range(len(links.nodes)) if other != rank]

    def explain(self, failure: Failure) -> str:
        """Return the sentence that says what happened, to which ranks, and what to do. Takes up to ten seconds."""
        with Watch({rank: self._links.addresses[rank] for rank in self._others}) as watch:
            try:
                self._links.ask_store(
                    lambda store: store.set(f"failed/{self._rank}", failure.place)
                )
                self._wake_waiting_ranks()
                verdict = self._agree(self._find_missing(failure, watch))
                reports = self._reported_failures(verdict.ranks)
            except RuntimeError:
                self._wake_waiting_ranks()
                verdict, reports = self._find_missing_without_store(failure, watch), []
        return f"{failure.place}: {reports[0] if reports else self._sentence(verdict, failure)}"

    def _wake_waiting_ranks(self) -> None:
        """Close all gloo connections, so that ranks that wait for this one in a collective notice the failure, too.

        gloo does that when a receive times out, and offers no other way.
        """
        gradients = dist.group.WORLD if dist.get_backend() == "gloo" else None
        for group in filter(None, (self._links.control, gradients)):
            # The first receive that times out closes all connections; those to dead ranks fail without closing others.
            for rank in self._others:
                with suppress(RuntimeError):
                    group.recv([torch.empty(1)], rank, _UNUSED_TAG).wait(timedelta(milliseconds=1))

    def _find_missing(self, failure: Failure, watch: Watch) -> Verdict:
        """Wait for the reports of the other ranks until it is clear which of them are missing.

        A rank that does not report may still be busy elsewhere: only death, or a timeout of this rank, incriminates it.
        """
        has_timed_out = self._has_timed_out(failure)
        patience = min(_ROLL_CALL_SECONDS, self._timeout_seconds)
        # A rank that was woken gives those that timed out the time to reach their verdict.
        deadline = time.monotonic() + (patience if has_timed_out else 2 * patience)
        silent = self._others
        while silent and time.monotonic() < deadline:
            if known := self._links.ask_store(_known_verdict):
                return known
            silent = self._without("failed", silent)
            if watch.gone().intersection(silent):
                time.sleep(_TOGETHER_SECONDS)
                gone = watch.gone().intersection(self._without("failed", silent))
                return Verdict(sorted(gone), True, self._rank)
            if silent and not self._without("failure", silent):
                return Verdict(silent, True, self._rank)
            time.sleep(_LOOK_SECONDS)
        return Verdict(silent if has_timed_out else [], False, self._rank)

    def _find_missing_without_store(self, failure: Failure, watch: Watch) -> Verdict:
        """Return the verdict of this rank alone: rank 0 is to blame if it can be, for the store ended with it.

        Other ranks may have ended meanwhile because of it.
        """
        deadline = time.monotonic() + min(_ROLL_CALL_SECONDS, self._timeout_seconds)
        while 0 not in watch.gone() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        gone = watch.gone()
        if 0 in gone:
            return Verdict([0], True, self._rank)
        if self._has_timed_out(failure) and self._rank != 0:
            return Verdict([0], False, self._rank)
        return Verdict(sorted(gone), bool(gone), self._rank)

    def _has_timed_out(self, failure: Failure) -> bool:
        return failure.waited_seconds >= 0.9 * self._timeout_seconds

    def _without(self, report: str, ranks: Sequence[int]) -> list[int]:
        """Return those ranks that have not written a report of this kind to the store."""
        return self._links.ask_store(
            lambda store: [rank for rank in ranks if not store.check([f"{report}/{rank}"])]
        )

    def _agree(self, verdict: Verdict) -> Verdict:
        """Return the verdict of the rank that was first to reach one."""
        text = json.dumps(asdict(verdict))
        return _read_verdict(
            self._links.ask_store(lambda store: store.compare_set("verdict", "", text))
        )

    def _reported_failures(self, ranks: Sequence[int]) -> list[str]:
        """Return the failures that these ranks reported."""
        return self._links.ask_store(
            lambda store: [
                f"{self._links.title(rank)} failed: {store.get(f'failure/{rank}').decode()}"
                for rank in ranks
                if store.check([f"failure/{rank}"])
            ]
        )

    def _sentence(self, verdict: Verdict, failure: Failure) -> str:
        """Return who is missing, and what to do."""
        if not verdict.ranks:
            return f"no rank has died, but the connection between ranks failed: {failure.error}"
        who = ", ".join(self._links.title(rank) for rank in verdict.ranks)
        log_file = f"logs/rank{verdict.ranks[0]}.log"
        if verdict.is_gone:
            return f"{who} is gone: it failed or was killed. See {log_file}."
        return (
            f"{who} did not arrive within {self._timeout_seconds:g} s, while {self._links.title(verdict.witness)} "
            f"waited. See {log_file}; if its work merely takes longer, raise learner.timeout_seconds."
        )


def _known_verdict(store: Store) -> Verdict | None:
    """Return the verdict that another rank has reached."""
    return _read_verdict(store.get("verdict")) if store.check(["verdict"]) else None


def _read_verdict(text: bytes) -> Verdict:
    return Verdict(**json.loads(text))


def _answer(answer: Future[T], question: Callable[[Store], T], store: Store) -> None:
    try:
        answer.set_result(question(store))
    except RuntimeError as error:
        answer.set_exception(error)
