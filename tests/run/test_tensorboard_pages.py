"""What TensorBoard reads of a run besides its curves: descriptions, the page of key metrics, hyperparameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR, SummaryMetadata
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams

from ddpzero.algorithms import alphazero, ddpg
from ddpzero.run import tensorboard_pages as pages
from ddpzero.run.ranks import Ranks, join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.system.metric_info import MetricInfo, rate

METRICS = {
    "losses/total": MetricInfo("Sum of the losses.", is_headline=True),
    "losses/value": MetricInfo("Of the value head.", is_headline=True),
    "evaluation/wins_against_*": MetricInfo("Won against *.", "share", is_headline=True),
    "speed/games_per_second": rate("games", "Games.", is_headline=True),
    "gradients/norm": MetricInfo("Norm."),
}
CONFIG = {
    "run_name": "job_3",
    "runs_dir": "elsewhere",
    "device": "cpu",
    "seed": 7,
    "init_from": None,
    "learner": {"learning_rate": 0.01, "compile": True, "optimizer": "muon"},
    "curriculum": {"stages": [{"until": 10}]},
    "logging": {"level": "info"},
}


@pytest.fixture
def alone() -> Iterator[Ranks]:
    with join_ranks("cpu") as ranks:
        yield ranks


def events(run_dir: Path) -> EventAccumulator:
    return EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()


def first_metadata(run_dir: Path) -> dict[str, SummaryMetadata]:
    """The metadata of each tag's first point, as in the file."""
    (path,) = run_dir.glob("events.*")
    first: dict[str, SummaryMetadata] = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for value in event.summary.value:
            first.setdefault(value.tag, value.metadata)
    return first


def plugin_data(run_dir: Path, tag: str) -> bytes:
    return events(run_dir).SummaryMetadata(tag).plugin_data.content


def test_a_curve_has_its_description_from_the_first_point_on(tmp_path: Path, alone: Ranks) -> None:
    with RunRecord(tmp_path, alone, metrics=METRICS) as record:
        for step in (1, 2):
            record.row(step, {"evaluation/wins_against_bfs": 0.5, "own/thing": 1.0})
    read = events(tmp_path)
    assert [point.step for point in read.Scalars("own/thing")] == [1, 2]
    assert (
        read.SummaryMetadata("evaluation/wins_against_bfs").summary_description
        == "Won against bfs."
    )
    assert read.SummaryMetadata("own/thing").summary_description == ""


def test_the_first_point_of_a_curve_names_the_plugin_and_the_data_class(
    tmp_path: Path, alone: Ranks
) -> None:
    """TensorBoard's default loader ignores a description without them."""
    with RunRecord(tmp_path, alone, metrics=METRICS) as record:
        for step in (1, 2):
            record.row(step, {"losses/total": 1.0, "own/thing": 1.0})
    first = first_metadata(tmp_path)
    for tag, description in (("losses/total", "Sum of the losses."), ("own/thing", "")):
        assert first[tag].plugin_data.plugin_name == "scalars"
        assert first[tag].data_class == DATA_CLASS_SCALAR
        assert first[tag].summary_description == description


def test_the_key_metrics_have_a_page_with_those_of_one_group_and_unit_together(
    tmp_path: Path, alone: Ranks
) -> None:
    with RunRecord(tmp_path, alone, metrics=METRICS) as record:
        record.config(CONFIG)
    (event,) = events(tmp_path).Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    (category,) = layout.category
    assert {chart.title: list(chart.multiline.tag) for chart in category.chart} == {
        "losses: total, value": ["^losses/total$", "^losses/value$"],
        "evaluation/wins_against_*": ["^evaluation/wins_against_(.*)$"],
        "speed/games_per_second": ["^speed/games_per_second$"],
    }


@pytest.mark.parametrize("plugin", [alphazero, ddpg])
def test_every_key_metric_of_a_plugin_is_in_one_chart(plugin: object) -> None:
    declared = plugin.METRICS
    patterns = [pattern for tags in pages.chart_tags(declared).values() for pattern in tags]
    for tag, info in declared.items():
        assert sum(bool(re.match(pattern, tag)) for pattern in patterns) == info.is_headline, tag


def test_the_settings_of_a_run_are_its_hyperparameters(tmp_path: Path, alone: Ranks) -> None:
    with RunRecord(tmp_path, alone) as record:
        record.config(CONFIG)
    content = plugin_data(tmp_path, hparams.SESSION_START_INFO_TAG)
    start = hparams.parse_session_start_info_plugin_data(content)
    assert start.group_name == "job_3"
    values = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()
    }
    assert values == {
        "seed": 7.0,
        "init_from": "null",
        "learner.learning_rate": 0.01,
        "learner.compile": True,
        "learner.optimizer": "muon",
        "curriculum.stages": '[{"until": 10}]',
    }


@pytest.mark.parametrize(
    ("error", "status"), [(None, api_pb2.STATUS_SUCCESS), (OSError, api_pb2.STATUS_FAILURE)]
)
def test_the_table_of_hyperparameters_tells_how_a_run_has_ended(
    tmp_path: Path, alone: Ranks, error: type[Exception] | None, status: int
) -> None:
    try:
        with RunRecord(tmp_path, alone) as record:
            record.config(CONFIG)
            if error is not None:
                raise error
    except OSError:
        pass
    content = plugin_data(tmp_path, hparams.SESSION_END_INFO_TAG)
    assert hparams.parse_session_end_info_plugin_data(content).status == status


def test_a_resumed_run_keeps_its_hyperparameters(tmp_path: Path, alone: Ranks) -> None:
    for first_step in (0, 5):
        with RunRecord(tmp_path, alone, first_step, METRICS) as record:
            record.config(CONFIG)
            record.row(first_step + 1, {"losses/total": 1.0})
    assert plugin_data(tmp_path, hparams.SESSION_START_INFO_TAG)
    assert len(events(tmp_path).Tensors("custom_scalars__config__")) >= 1


def test_curves_are_written_where_a_page_cannot_be_made(
    tmp_path: Path, alone: Ranks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ImportError("another TensorBoard")

    monkeypatch.setattr(pages, "layout", fail)
    with RunRecord(tmp_path, alone) as record:
        record.config(CONFIG)
        record.row(1, {"losses/total": 1.0})
    assert [point.step for point in events(tmp_path).Scalars("losses/total")] == [1]
