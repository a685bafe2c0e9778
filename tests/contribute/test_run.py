"""The main loop of a contributor, with everything around it replaced: what it shows, and when it ends."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpzero.contribute import run
from ddpzero.contribute.line import StatusLine
from ddpzero.contribute.run import Contribution, wait_for_run
from ddpzero.contribute.sender import Sent
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.contribute.spool import Batch, Spool
from ddpzero.remote.messages import RunInformation, UploadAnswer
from tests.contribute.test_spool import games_of_size
from tests.remote.test_client import RUN

EVIL = "\x1b]0;PWNED\x07\x1b[2J" + "A" * 3000


class Stop:
    """Like a StopSignal."""

    reason = "a test"

    def __init__(self, is_set: bool = True) -> None:
        self.is_set = is_set


class FakeSpool:
    size_bytes = refused_bytes = num_finished = 0

    def __init__(self, *batches: Batch) -> None:
        self.batches = list(batches)

    def make_batches(self, *_: Any) -> None:
        pass

    def remove(self, batch: Batch) -> None:
        self.batches.remove(batch)


class FakeSender:
    """Answers each batch at once."""

    waits_for = ""

    def __init__(self, answer: UploadAnswer) -> None:
        self._answer = answer
        self._sent: list[Sent] = []

    def send(self, batch: Batch) -> None:
        self._sent.append(Sent(batch, self._answer))

    def take_sent(self) -> list[Sent]:
        sent, self._sent = self._sent, []
        return sent


def contribution(
    spool: Any, sender: Any, max_games: int = 100, line: StatusLine | None = None, **settings: Any
) -> Contribution:
    return Contribution(
        settings=ContributeSettings(server="http://x", **settings),
        limits=(max_games, 1 << 20),
        stop=Stop(),  # type: ignore[arg-type]
        line=line or StatusLine(),
        spool=spool,
        actors=SimpleNamespace(model="", is_compiling=False, stop=lambda: None),  # type: ignore[arg-type]
        sender=sender,
        work=SimpleNamespace(waits_for=""),  # type: ignore[arg-type]
    )


def lines_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_reasons_of_the_server_are_shown_without_control_codes_and_in_one_line_each(caplog):
    answer = UploadAnswer(0, 0, 1, 0, [EVIL, "a\nb"])
    with caplog.at_level(logging.INFO):
        contribution(FakeSpool(Batch("0", "m", 1, Path("x"))), FakeSender(answer)).run()
    rejected = [line for line in lines_of(caplog) if "rejected" in line]
    assert len(rejected) == 2 and rejected[1] == "rejected: a?b"
    assert all(line.isprintable() and len(line) < 400 for line in lines_of(caplog))


def test_the_name_of_the_run_is_shown_without_control_codes(caplog, monkeypatch):
    monkeypatch.setattr(run, "check_run", lambda *_: SimpleNamespace(name="tic_tac_toe"))
    server = SimpleNamespace(url="http://x", run=lambda: RunInformation(**{**RUN, "run": EVIL}))
    with caplog.at_level(logging.INFO):
        wait_for_run(server, Stop(False), StatusLine())  # type: ignore[arg-type]
    (line,) = lines_of(caplog)
    assert line.isprintable() and len(line) < 200


def test_after_a_stop_batches_are_made_only_as_fast_as_they_are_sent(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.5)
    spool = Spool(tmp_path, {"run": "t"})
    for _ in range(20):
        spool.add(games_of_size(9, 10), "m")
    sender: Any = SimpleNamespace(send=lambda _: None, take_sent=list, waits_for="")
    with caplog.at_level(logging.INFO):
        contribution(spool, sender, max_games=10).run()
    assert len(spool.batches) == 3 and spool.num_finished == 170
    assert "200 games are not sent yet" in lines_of(caplog)[-1]


def test_after_a_stop_everything_is_sent_if_there_is_time(tmp_path, caplog):
    spool = Spool(tmp_path, {"run": "t"})
    for _ in range(6):
        spool.add(games_of_size(9, 10), "m")
    with caplog.at_level(logging.INFO):
        contribution(spool, FakeSender(UploadAnswer(10, 0, 0, 20)), max_games=10).run()
    assert spool.batches == [] and spool.num_finished == 0
    assert not any("not sent" in line for line in lines_of(caplog))


def test_a_contributor_whose_games_are_all_refused_pauses_and_says_where_they_are(tmp_path):
    spool = Spool(tmp_path, {"run": "t"})
    of_one = games_of_size(9, 10)
    for episode in of_one:
        episode.columns["noise"] = np.random.default_rng(1).random((2, 100_000))
    spool.add(of_one, "m")
    spool.make_batches(10, 100, 1 << 30)
    spool.refuse(spool.batches[0])
    sender: Any = SimpleNamespace(send=lambda _: None, take_sent=list, waits_for="")
    line = StatusLine()
    contribution(spool, sender, line=line, max_waiting_mib=2).run()
    assert "are in refused/" in line.note
