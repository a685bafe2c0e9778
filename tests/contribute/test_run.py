"""The main loop of a contributor, with everything around it replaced: what it shows, and when it ends."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddpzero.contribute import run
from ddpzero.contribute.line import StatusLine
from ddpzero.contribute.run import Contribution, wait_for_run
from ddpzero.contribute.sender import Sent
from ddpzero.contribute.settings import ContributeSettings
from ddpzero.contribute.spool import Batch, Spool
from ddpzero.remote.client import ServerRefused
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


class FakeActors:
    """Finish ten games in each poll."""

    model = "m"
    is_compiling = False
    num_games = 20

    def __init__(self) -> None:
        self.num_polls = 0

    def poll(self, seconds: float) -> list[Any]:
        self.num_polls += 1
        return games_of_size(9, 10)

    def stop(self) -> None:
        pass


class FakeWork:
    waits_for = ""

    def take_model(self) -> None:
        pass

    def take_match(self) -> None:
        pass


class FakePace:
    """A second for each game."""

    seconds_since_answer = 0.0

    def note(self, num_sent: int, is_sending: bool) -> None:
        pass

    def seconds_for(self, num_games: int) -> float:
        return float(num_games)


def contribution(
    spool: Any,
    sender: Any,
    max_games: int = 100,
    line: StatusLine | None = None,
    actors: Any = None,
    stop: Stop | None = None,
    **settings: Any,
) -> Contribution:
    return Contribution(
        settings=ContributeSettings(server="http://x", **settings),
        limits=(max_games, 1 << 20),
        stop=stop or Stop(),  # type: ignore[arg-type]
        line=line or StatusLine(),
        spool=spool,
        actors=actors or SimpleNamespace(model="", is_compiling=False, stop=lambda: None),
        sender=sender,
        work=FakeWork(),  # type: ignore[arg-type]
    )


def lines_of(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_reasons_of_the_server_are_shown_without_control_codes_and_in_one_line_each(caplog):
    answer = UploadAnswer(0, 0, 1, 0, [EVIL, "a\nb"])
    with caplog.at_level(logging.INFO):
        contribution(FakeSpool(Batch("0", "m", 1, Path("x"))), FakeSender(answer)).run()
    rejected = [line for line in lines_of(caplog) if line.startswith("rejected")]
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
    assert lines_of(caplog)[-1] == (
        "stopped: 0 games accepted, 0 repeated, 200 wait in contribution for the next start"
    )


def test_after_a_stop_everything_is_sent_if_there_is_time(tmp_path, caplog):
    spool = Spool(tmp_path, {"run": "t"})
    for _ in range(6):
        spool.add(games_of_size(9, 10), "m")
    with caplog.at_level(logging.INFO):
        contribution(spool, FakeSender(UploadAnswer(10, 0, 0, 20)), max_games=10).run()
    assert spool.batches == [] and spool.num_finished == 0
    assert re.fullmatch(
        r"stopped: \d+ games accepted, 0 repeated, 0 wait for the next start", lines_of(caplog)[-1]
    )


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


class StopAfter(Stop):
    """Set after it was asked so often."""

    def __init__(self, times: int) -> None:
        self._times = times

    @property
    def is_set(self) -> bool:  # type: ignore[override]
        self._times -= 1
        return self._times < 0


def sender_without_answers(waits_for: str = "") -> Any:
    return SimpleNamespace(send=lambda _: None, take_sent=list, waits_for=waits_for)


def test_playing_pauses_while_more_waits_than_is_sent_in_a_minute_and_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(run, "SendingPace", FakePace)
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.0)
    spool, actors, line = Spool(tmp_path, {"run": "t"}), FakeActors(), StatusLine()
    contribution(
        spool,
        sender_without_answers(),
        line=line,
        actors=actors,
        stop=StopAfter(30),
        games_per_upload=5,
    ).run()
    # 70 wait; those that were finished when it was stopped are kept, too.
    assert actors.num_polls == 8 and line.games == line.waiting == 80
    assert "pauses: sending is slower" in line.note


@pytest.mark.parametrize(
    ("waits_for", "seconds_since_answer", "pauses"),
    [("", 0.0, True), ("", 1e6, True), ("busy", 5.0, True), ("away", 1e4, False)],
)
def test_a_server_that_is_away_does_not_stop_playing(
    tmp_path, monkeypatch, waits_for, seconds_since_answer, pauses
):
    monkeypatch.setattr(run, "SendingPace", FakePace)
    monkeypatch.setattr(FakePace, "seconds_since_answer", seconds_since_answer)
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.0)
    stop = StopAfter(30)
    actors = FakeActors()
    contribution(
        Spool(tmp_path, {"run": "t"}),
        sender_without_answers(waits_for),
        actors=actors,
        stop=stop,
        games_per_upload=5,
    ).run()
    assert (actors.num_polls < 20) == pauses


def test_a_few_batches_may_always_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SendingPace", FakePace)
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.0)
    line = StatusLine()
    contribution(
        Spool(tmp_path, {"run": "t"}),
        sender_without_answers(),
        line=line,
        actors=FakeActors(),
        stop=StopAfter(30),
        games_per_upload=30,
    ).run()
    assert line.games == 4 * 30 + 10 + 10


def test_after_a_stop_no_more_games_are_played_than_had_begun(tmp_path, caplog):
    line, actors = StatusLine(), FakeActors()
    with caplog.at_level(logging.INFO):
        contribution(
            Spool(tmp_path, {"run": "t"}),
            FakeSender(UploadAnswer(10, 0, 0, 20)),
            line=line,
            actors=actors,
        ).run()
    assert actors.num_polls == 2 and line.waiting == 0
    assert "finishing what is nearly done" in lines_of(caplog)[0]


def test_after_a_stop_games_that_cannot_be_sent_anyway_are_not_finished(
    tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(run, "SendingPace", FakePace)
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.3)
    spool, actors = Spool(tmp_path, {"run": "t"}), FakeActors()
    spool.add(games_of_size(9, 10) * 20, "m")
    with caplog.at_level(logging.INFO):
        contribution(spool, sender_without_answers(), actors=actors).run()
    # What they had finished is kept.
    assert actors.num_polls == 1
    assert "sending what waits, for at most 0 s" in lines_of(caplog)[0]
    assert "210 wait in contribution" in lines_of(caplog)[-1]


def test_who_is_removed_is_told_what_waits(tmp_path, caplog):
    def refuse() -> list[Sent]:
        raise ServerRefused("the token is unknown.", 401)

    spool = Spool(tmp_path, {"run": "t"})
    spool.add(games_of_size(9, 10), "m")
    sender: Any = SimpleNamespace(send=lambda _: None, take_sent=refuse, waits_for="")
    with caplog.at_level(logging.INFO), pytest.raises(ServerRefused):
        contribution(spool, sender).run()
    assert lines_of(caplog)[-1].endswith("10 wait in contribution for the next start")


def test_a_pause_has_one_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "SendingPace", FakePace)
    monkeypatch.setattr(run, "_LAST_SENDING_SECONDS", 0.0)
    spool, line = Spool(tmp_path, {"run": "t"}), StatusLine()
    spool.add(games_of_size(9, 10) * 10, "m")
    monkeypatch.setattr(Spool, "size_bytes", 2**30)
    contribution(
        spool, sender_without_answers(), line=line, games_per_upload=1, max_waiting_mib=2
    ).run()
    assert line.note == "pauses: max_waiting_mib of games wait for the server"
