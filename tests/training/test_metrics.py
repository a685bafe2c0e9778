"""Shares of time, means, rates; and how a resumed run continues its curves."""

from __future__ import annotations

import io
import json
import math
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ddpzero.cli.monitor_metrics import MetricsPanel, key_metrics
from ddpzero.config.hydra import compose_settings
from ddpzero.run.curves import Curves
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.run.record import RunRecord, read_status
from ddpzero.run.tensorboard_pages import chart_tags
from ddpzero.system.metric_info import info_of, rate, ratio, time_share
from ddpzero.training import metrics as metrics_module
from ddpzero.training.metrics import IntervalMetrics, PhaseClock, all_metrics, metrics_of_run
from tests.torchrun import run_ranks


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand_clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    clock = HandClock()
    monkeypatch.setattr(metrics_module.time, "perf_counter", clock)
    return clock


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu") as ranks:
        yield ranks


# ---------------------------------------------------------------------- the clock


def test_shares_of_stages_sum_to_one(hand_clock: HandClock) -> None:
    clock = PhaseClock()
    hand_clock.seconds += 1
    with clock("update"):
        hand_clock.seconds += 6
    with clock("wait"):
        hand_clock.seconds += 3
    assert clock.take_shares() == {"other": 0.1, "update": 0.6, "wait": 0.3}


def test_a_moment_counts_for_the_innermost_stage_only(hand_clock: HandClock) -> None:
    clock = PhaseClock()
    with clock("epoch"):
        hand_clock.seconds += 1
        with clock("save"):
            hand_clock.seconds += 2
        hand_clock.seconds += 1
    assert clock.take_shares() == {"other": 0.0, "epoch": 0.5, "save": 0.5}


def test_a_stage_that_goes_on_is_split_between_intervals(hand_clock: HandClock) -> None:
    clock = PhaseClock()
    with clock("wait"):
        hand_clock.seconds += 4
        assert clock.take_shares()["wait"] == 1.0
        hand_clock.seconds += 1
    hand_clock.seconds += 3
    assert clock.take_shares() == {"other": 0.75, "wait": 0.25}


def test_a_stage_that_fails_is_closed(hand_clock: HandClock) -> None:
    clock = PhaseClock()
    with pytest.raises(RuntimeError), clock("update"):
        hand_clock.seconds += 1
        raise RuntimeError
    hand_clock.seconds += 1
    assert clock.take_shares() == {"other": 0.5, "update": 0.5}


# ------------------------------------------------------------------------- one row


def test_a_row_has_means_rates_shares_and_gauges(alone: Ranks, hand_clock: HandClock) -> None:
    clock = PhaseClock()
    metrics = IntervalMetrics(alone, clock, all_metrics("ddpzero.algorithms.alphazero"))
    metrics.num_actors = 4
    for loss in (2.0, 3.0):
        metrics.add({"losses/total": torch.tensor(loss, dtype=torch.bfloat16), "rate": 0.5})
        metrics.count(updates=1, samples_generated=30)
    metrics.count(seconds=20, seconds_forward=16.0, cpu_seconds_forward=8.0)
    metrics.count(cache_hits=45, cache_look_ups=100)
    metrics.set_last({"replay/fill": 0.1})
    metrics.set_last({"replay/fill": 0.7})
    with clock("wait for episodes"):
        hand_clock.seconds += 10
    row = metrics.collect()
    memory = row.pop("memory/cpu_gib")
    assert 0.05 < memory < 50
    assert row == {
        "losses/total": 2.5,
        "rate": 0.5,
        "replay/fill": 0.7,
        "time/other": 0.0,
        "time/wait_for_episodes": 1.0,
        "learner/share_waiting": 1.0,
        "speed/updates_per_second": 0.2,
        "speed/samples_generated_per_second": 6.0,
        "time_actors/all": 0.5,
        "time_actors/forward": 0.4,
        "time_actors/cpu_forward": 0.2,
        "self_play/cache_hit_share": 0.45,
    }


def test_counts_become_what_is_declared_of_them_whatever_their_names(
    alone: Ranks, hand_clock: HandClock
) -> None:
    declared = {
        "game/captures": rate("stones_off", "Stones taken."),
        "game/share_of_passes": ratio("passes", "moves", "Share of moves that pass."),
        "game/share_of_kos": ratio("kos", "chances", "No chance came."),
        "where/thinking": time_share("thought", "Share of the time spent in thinking."),
    }
    metrics = IntervalMetrics(alone, PhaseClock(), declared)
    metrics.num_actors = 2
    metrics.count(stones_off=30, passes=1, moves=4, kos=0, chances=0, thought=5.0, seconds_idle=7)
    hand_clock.seconds += 10
    row = metrics.collect()
    assert {tag: value for tag, value in row.items() if not tag.startswith("memory/")} == {
        "time/other": 1.0,
        "game/captures": 3.0,
        "game/share_of_passes": 0.25,
        "where/thinking": 0.25,
        "speed/seconds_idle_per_second": 0.7,  # nobody declares it
    }


def test_an_interval_begins_anew_and_what_pauses_is_a_zero(
    alone: Ranks, hand_clock: HandClock
) -> None:
    metrics = IntervalMetrics(alone, PhaseClock())
    metrics.add({"losses/total": 1.0})
    metrics.count(updates=5)
    hand_clock.seconds += 1
    metrics.collect()
    hand_clock.seconds += 1
    row = metrics.collect()
    assert row["speed/updates_per_second"] == 0.0
    assert "losses/total" not in row


def test_a_short_interval_can_become_part_of_the_one_before(
    alone: Ranks, hand_clock: HandClock
) -> None:
    clock = PhaseClock()
    metrics = IntervalMetrics(alone, clock)
    metrics.add({"losses/total": 1.0})
    metrics.add({"losses/total": 2.0})
    metrics.count(updates=50)
    with clock("update"):
        hand_clock.seconds += 8
    metrics.collect({"self_play/draws": 0.25})
    metrics.add({"losses/total": 6.0})
    with clock("save"):
        hand_clock.seconds += 2
    assert (metrics.previous_seconds, metrics.seconds) == (8.0, 2.0)
    row = metrics.collect({"self_play/draws": 0.5}, with_previous=True)
    assert row["losses/total"] == 3.0
    assert row["speed/updates_per_second"] == 5.0
    assert (row["time/update"], row["time/save"]) == (0.8, 0.2)
    assert row["self_play/draws"] == 0.5


def test_the_memory_of_actors_is_counted(alone: Ranks) -> None:
    row = IntervalMetrics(alone, PhaseClock()).collect()
    own = psutil.Process().memory_info().rss / (1 << 30)
    assert row["memory/cpu_gib"] == pytest.approx(own, rel=0.2)


TWO_RANKS = """
import torch
from ddpzero.run.ranks import join_ranks
from ddpzero.training.metrics import IntervalMetrics, PhaseClock
from ddpzero.run.record import RunRecord
with join_ranks("cpu", 30.0) as ranks:
    metrics = IntervalMetrics(ranks, PhaseClock())
    metrics.num_actors = 1 + ranks.rank
    metrics.add({"losses/total": torch.tensor(1.0 + ranks.rank)})
    if ranks.rank == 1:
        metrics.add({"self_play/episode_length": 21.0})
    metrics.count(simulations=1000 * (1 + ranks.rank), seconds_forward=0.01)
    time.sleep(0.2)
    row = metrics.collect()
    with RunRecord(folder / "run", ranks) as record:
        record.row(1, row)
        record.status("running", epoch=ranks.rank)
    say(row=row)
"""


def test_a_row_speaks_for_all_ranks_and_rank_0_writes_it(tmp_path: Path) -> None:
    first, second = (answer["row"] for answer in run_ranks(tmp_path, TWO_RANKS))
    assert first == second
    assert first["losses/total"] == 1.5
    assert first["self_play/episode_length"] == 21.0
    assert 3000 / 5 < first["speed/simulations_per_second"] < 3000 / 0.2
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    assert len(list((tmp_path / "run").glob("events.*"))) == 1
    status = read_status(tmp_path / "run")
    assert status is not None and (status["epoch"], status["world_size"]) == (0, 2)


# ---------------------------------------------------------------------- the record


def events(run_dir: Path) -> EventAccumulator:
    return EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()


def rows(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_rows_are_curves_over_learner_steps(tmp_path: Path, alone: Ranks) -> None:
    with RunRecord(tmp_path, alone) as record:
        record.row(10, {"losses/total": 2.0})
        record.row(20, {"losses/total": 1.0, "value/accuracy": math.nan})
    curve = events(tmp_path).Scalars("losses/total")
    assert [(point.step, point.value) for point in curve] == [(10, 2.0), (20, 1.0)]
    assert [(row["learner_step"], row["losses/total"]) for row in rows(tmp_path)] == [
        (10, 2.0),
        (20, 1.0),
    ]
    assert rows(tmp_path)[1]["value/accuracy"] is None


def test_a_run_resumed_from_an_older_checkpoint_has_no_point_twice(
    tmp_path: Path, alone: Ranks
) -> None:
    with RunRecord(tmp_path, alone) as record:
        for step in (10, 20, 30, 40):
            record.row(step, {"loss": 100.0 + step})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"learner_step": 50, "lo')  # killed while it wrote
    time.sleep(1.1)  # TensorBoard orders event files by the second in their names
    with RunRecord(tmp_path, alone, first_step=20) as record:
        for step in (20, 25, 35, 45):
            record.row(step, {"loss": 200.0 + step})
    expected = [(10, 110.0), (20, 120.0), (25, 225.0), (35, 235.0), (45, 245.0)]
    assert [(p.step, p.value) for p in events(tmp_path).Scalars("loss")] == expected
    assert [(row["learner_step"], row["loss"]) for row in rows(tmp_path)] == expected


def test_texts_keep_their_shape(tmp_path: Path, alone: Ranks) -> None:
    with RunRecord(tmp_path, alone) as record:
        record.config({"learner": {"batch_size": 64}})
        record.text("sample_game", " X O\n . .", 5)
    accumulator = events(tmp_path)
    (game,) = accumulator.Tensors("sample_game/text_summary")
    assert game.tensor_proto.string_val[0] == b"```\n X O\n . .\n```"
    (config,) = accumulator.Tensors("config/text_summary")
    assert b"batch_size: 64" in config.tensor_proto.string_val[0]


def test_a_film_is_an_animated_gif_with_every_frame(tmp_path: Path, alone: Ranks) -> None:
    frames = [np.full((6, 8, 3), 20 * index, np.uint8) for index in range(5)]
    frames[3][2, 5] = (250, 10, 10)
    with RunRecord(tmp_path, alone) as record:
        record.film("sample_game", frames, step=7)
    (film,) = events(tmp_path).Images("sample_game")
    assert (film.step, film.width, film.height) == (7, 8, 6)
    gif = Image.open(io.BytesIO(film.encoded_image_string))
    shown = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
    np.testing.assert_array_equal(shown, frames)


def test_the_status_is_kept_from_call_to_call_and_counts_starts(
    tmp_path: Path, alone: Ranks
) -> None:
    with RunRecord(tmp_path, alone) as record:
        assert (read_status(tmp_path) or {})["state"] == "starting"
        metrics = {"losses/total": math.inf, "value/accuracy": 0.5}
        record.status("running", epoch=1, metrics=metrics)
        record.status("running", checkpoint="x")
    status = read_status(tmp_path)
    assert status is not None
    assert (status["epoch"], status["checkpoint"], status["num_starts"]) == (1, "x", 1)
    assert status["metrics"] == {"value/accuracy": 0.5}
    with RunRecord(tmp_path, alone):
        pass
    again = read_status(tmp_path) or {}
    assert (again["num_starts"], again["metrics"]) == (2, {"value/accuracy": 0.5})


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow in here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_figures_and_each_place_recovers_and_says_so(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with RunRecord(tmp_path, alone) as record:
        record.row(1, {"loss": 1.0})
        with full_disk():
            for step in (2, 3, 4):
                record.row(step, {"loss": 2.0})
                record.text("sample_game", "X O", step)
                record.status("running", epoch=step)
        record.row(5, {"loss": 5.0})
        record.status("running", epoch=5)
    names = ("TensorBoard's ", "metrics.jsonl", "status.json")
    for name in names:
        told = [entry for entry in caplog.messages if name in entry]
        assert len(told) == 2
        assert "cannot be written: File too large. Training continues without it." in told[0]
        assert "can be written again" in told[1]
    assert len(caplog.messages) == 2 * len(names)
    assert [row["learner_step"] for row in rows(tmp_path)] == [1, 5]
    assert [point.step for point in events(tmp_path).Scalars("loss")] == [1, 5]
    assert (read_status(tmp_path) or {})["epoch"] == 5
    (file,) = tmp_path.glob("events.*")
    assert file.stat().st_size > 0


def test_curves_go_on_where_metrics_cannot_be_written(tmp_path: Path, alone: Ranks) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with RunRecord(tmp_path, alone) as record:
        record.row(1, {"loss": 1.0})
        record.status("running", epoch=1)
    assert [point.step for point in events(tmp_path).Scalars("loss")] == [1]
    assert (read_status(tmp_path) or {})["epoch"] == 1


def test_a_row_that_does_not_fit_leaves_no_half_line(tmp_path: Path, alone: Ranks) -> None:
    with RunRecord(tmp_path, alone) as record:
        record.row(1, {"loss": 1.0})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        size_bytes = (tmp_path / "metrics.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes + 10, hard))
        try:
            record.row(2, {"loss": 2.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (tmp_path / "metrics.jsonl").stat().st_size == size_bytes
        record.row(3, {"loss": 3.0})
    assert [row["learner_step"] for row in rows(tmp_path)] == [1, 3]


def test_the_status_stays_fresh_where_no_new_file_can_be_written(
    tmp_path: Path, alone: Ranks, caplog: pytest.LogCaptureFixture
) -> None:
    with RunRecord(tmp_path, alone) as record:
        (tmp_path / ".status.json.aside").mkdir()  # as on a full disk: no file there
        record.status("running", epoch=3, sentence="longer than before" * 50)
        status = read_status(tmp_path)
        assert status is not None and status["epoch"] == 3
        assert time.time() - status["time"] < 60
        record.status("running", epoch=4, sentence="")
        assert (read_status(tmp_path) or {})["epoch"] == 4
    assert caplog.messages == []


def test_an_error_inside_a_run_is_its_status(tmp_path: Path, alone: Ranks) -> None:
    with pytest.raises(OSError), RunRecord(tmp_path, alone):
        raise OSError(28, "No space left on device", "x")
    status = read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["error"]) == ("failed", "x: No space left on device.")


def test_a_half_written_status_is_no_status(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    (tmp_path / "status.json").write_text('{"state": ')
    assert read_status(tmp_path) is None


ARENA_AND_JUDGE = {
    "arena/elo": 123.0,
    "arena/match_score": 0.55,
    "judge/outcome_kept_0_simulations": 0.5,
    "judge/outcome_kept_64_simulations": 0.75,
}


def test_rating_match_score_and_judge_have_charts_on_the_page_of_key_metrics():
    charts = list(chart_tags(all_metrics("ddpzero.algorithms.alphazero")).values())
    for tag in ARENA_AND_JUDGE:
        assert [tags for tags in charts if any(re.fullmatch(regex, tag) for regex in tags)], tag
    assert len(charts) <= 12


@pytest.mark.parametrize(
    ("overrides", "titles"),
    [
        ([], ["arena/elo"]),
        (["arena.num_workers=0"], []),
        (["release.rule=elo"], ["arena/elo", "arena/match_score"]),
        (
            ["judge.file=connect_four_hard"],
            ["arena/elo", "judge/outcome_kept_*_simulations"],
        ),
    ],
    ids=["default", "no arena", "release by Elo", "judge"],
)
def test_a_run_has_charts_for_what_its_settings_measure(overrides, titles):
    metrics = metrics_of_run(compose_settings(overrides))
    assert [
        title for title in chart_tags(metrics) if title.startswith(("arena", "judge"))
    ] == titles
    assert metrics.keys() == all_metrics("ddpzero.algorithms.alphazero").keys()


def test_the_monitor_shows_rating_match_score_and_judge_among_its_key_metrics():
    metrics = all_metrics("ddpzero.algorithms.alphazero")
    panel = MetricsPanel(metrics, Curves(), ARENA_AND_JUDGE, has_unicode=True)
    shown = "\n".join(str(line.text) for line in key_metrics(panel, width=100))
    for name in ("arena elo", "arena match score", "judge outcome kept 64 simulations"):
        assert name in shown
    assert "75.0%" in shown


def test_the_description_of_a_judge_curve_names_its_number_of_simulations():
    info = info_of(all_metrics("ddpzero.algorithms.alphazero"), "judge/outcome_kept_64_simulations")
    assert "with 64 simulations" in info.description
