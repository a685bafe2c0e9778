"""Facts about what `ddpzero evaluate` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddpzero import __version__
from ddpzero.arena import evaluation_page, evaluation_report
from ddpzero.arena.evaluation import Evaluation, Judged, RandomShares, Speed
from ddpzero.arena.evaluation_page import PAGE_FILE
from ddpzero.arena.evaluation_report import run_evaluate
from ddpzero.arena.judgements import Judgement, Shares
from ddpzero.arena.match import MatchResult
from ddpzero.arena.ratings import Rating
from ddpzero.arena.ratings_report import Progress, RatedPlayer
from ddpzero.games import load_game
from ddpzero.judges.perfect_play import JudgeReport
from ddpzero.system.errors import UserError

MODEL = "quick-b3c32-s1234567-d1234567"


def evaluation_of(num_simulations: int | None) -> Evaluation:
    """An evaluation as of `quick` at its end."""
    counters = {"minutes": 29.9, "samples": 1_234_567, "learner_step": 4000}
    agent: Any = SimpleNamespace(
        model=MODEL, game=load_game("connect_four"), counters=counters, can_search=True
    )
    hits = np.arange(1000) % 3 > 0
    report = JudgeReport(MODEL, num_simulations, hits, hits, hits, 1.0)
    returns = np.tile(np.array([[1, -1]], np.float32), (50, 1))
    match = MatchResult(MODEL, "rollout:10000", returns, np.full((50, 2), 20), 100, 1.0)
    ratings = [
        RatedPlayer(Rating(MODEL, 1234, 1111, 1357, 400, 0.9), Progress(4000, 10, 29.9), "best"),
        RatedPlayer(Rating("rollout:100", 0, 0, 0, 400, 0.1), None),
    ]
    speeds = {"network alone": Speed(0.001, 12345, 256), "with search": Speed(0.01, 1234, 256)}
    judged = [Judged("connect_four_hard", report, RandomShares(0.5, 0.25, 0.125))]
    return Evaluation(
        agent, num_simulations, judged, [match], ratings, "rollout:100", "quick", speeds
    )


@pytest.fixture
def evaluated(monkeypatch):
    """Evaluations without games, in 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(evaluation_report, "load_agent", lambda player: None)

    def run(
        num_simulations: int | None,
        judgements: Sequence[Judgement] = (),
        others: Sequence[RatedPlayer] = (),
        changes: Any = None,
        **options: Any,
    ) -> None:
        result = evaluation_of(num_simulations)
        ratings = [*others, *result.ratings]
        result = replace(result, judgements=list(judgements), ratings=ratings)
        result = replace(result, **(changes or {}))
        monkeypatch.setattr(evaluation_report, "evaluate", lambda *_, **__: result)
        run_evaluate("x", **options)

    return run


@pytest.fixture
def judgements():
    return [
        Judgement("m", "hex3", 9, (Shares(64, 0.5, 0.125),), 1000 * step, 1.5, 1.0, 0.0)
        for step in range(12)
    ]


def test_the_report_fits_80_columns_and_says_how_the_agent_played(evaluated, capsys):
    evaluated(32)
    lines = capsys.readouterr().out.splitlines()
    headline = " ".join(" ".join(lines[:2]).split())
    assert headline.startswith(f"{MODEL}: connect_four")
    assert "32 simulations per move" in headline
    (row,) = [line for line in lines[2:] if MODEL.removeprefix("quick-") in line]
    assert row.split()[-3:] == ["best,", "this", "agent"]
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)


def test_an_agent_without_search_has_no_number_of_simulations(evaluated, capsys):
    evaluated(None)
    assert "simulations per move" not in capsys.readouterr().out


def test_json_has_every_result_on_a_line(evaluated, capsys):
    evaluated(32, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    figures = {line["figure"] for line in lines}
    assert figures >= {"keeps_outcome", "score", "elo", "latency", "moves_per_second"}


def test_the_page_shows_its_pictures(evaluated, judgements, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    evaluated(32, judgements, report=str(tmp_path / "report"))
    page = (tmp_path / "report" / PAGE_FILE).read_text()
    for picture in ("matches.png", "ratings.png", "judgements.png"):
        assert f"]({picture})" in page
        assert (tmp_path / "report" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_newest_judgements_of_the_run_are_shown(evaluated, judgements, capsys):
    evaluated(32, judgements)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "hex3" in line]
    assert len(rows) == 10
    assert rows[-1] == ["hex3", "11,000", "1.5", "64", "50.0%", "12.5%"]


def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(evaluation_report, "load_agent", lambda player: pytest.fail("measured"))
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(UserError, match=rf"--report {path}: .* \(it is not a folder\)"):
            run_evaluate("x", report=str(path))


def test_the_evaluated_agent_is_shown_even_if_it_is_weaker_than_many_others(evaluated, capsys):
    others = [
        RatedPlayer(Rating(f"quick-other{n}", 2000, 1990, 2010, 40, 0.9), Progress(1, 1, 1.0))
        for n in range(30)
    ]
    evaluated(32, others=others)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "other" in line]) == 20
    assert [line for line in lines if "this agent" in line]
    assert [line for line in lines if "the strongest of 32 players" in line]


def test_names_that_look_like_markup_are_shown_as_they_are(evaluated, capsys):
    odd = RatedPlayer(Rating("[/x]|[bold]", 1, 0, 2, 40, 0.5), None)
    evaluated(32, others=[odd])
    assert "[/x]|[bold]" in capsys.readouterr().out


def test_positions_of_the_same_name_are_told_apart(judgements, evaluated, capsys):
    *old, one, two = judgements
    shown = [*old, replace(one, digest="a" * 16), replace(two, digest="b" * 16)]
    evaluated(32, shown[:-1])
    assert "hex3 a" not in capsys.readouterr().out
    evaluated(32, shown)
    rows = [line for line in capsys.readouterr().out.splitlines() if "hex3" in line]
    assert [row.split()[:2] for row in rows[-3:]] == [
        ["hex3", "9,000"],
        ["hex3", "aaaaaa"],
        ["hex3", "bbbbbb"],
    ]


def test_the_page_says_how_to_repeat_it_and_what_its_terms_mean(evaluated, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(evaluation_page, "machine_text", lambda: "a machine, 2 cores")
    evaluated(32, report=str(tmp_path), seed=7)
    page = (tmp_path / PAGE_FILE).read_text()
    assert "\n    ddpzero evaluate x --games 100 --seed 7\n" in page
    assert f"by ddpzero {__version__}" in page
    assert "on a machine, 2 cores:" in page
    assert "Trained for 29.9 minutes: 1,234,567 samples, 4,000 updates." in page
    assert "| connect_four_hard, a random move |  | 50.0% | 25.0% | 12.5% |" in page
    assert "where it matters: the move keeps the outcome of perfect play" in page


def test_what_is_missing_is_said(evaluated, capsys):
    evaluated(32, changes={"ratings": []})
    assert (
        "No ratings: the arena of the run quick has played no matches." in capsys.readouterr().out
    )
    changes = {"unplayed": ("rollout:10000",), "ratings": evaluation_of(32).ratings[1:]}
    evaluated(32, changes=changes)
    output = capsys.readouterr().out
    assert "Not played, because the agent lost to a weaker one: rollout:10000." in output
    assert f"{MODEL} itself has no rating" in " ".join(output.split())


def test_repeated_games_are_said(evaluated, capsys):
    (match,) = evaluation_of(32).ladder
    evaluated(32, changes={"ladder": [replace(match, num_distinct_games=50)]})
    output = " ".join(capsys.readouterr().out.split())
    assert "rollout:10000: Only 50 of the 100 games differ: the interval is too narrow." in output


def test_an_interrupted_evaluation_is_printed_and_written_and_ends_as_interrupted(
    evaluated, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    with pytest.raises(KeyboardInterrupt):
        evaluated(32, report=str(tmp_path), changes={"stopped_at": "100 games against x"})
    said = "Stopped during: 100 games against x. It and all that would follow are missing."
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (tmp_path / PAGE_FILE).read_text()
