"""Declarations of metrics: patterns, order, and the way through a file."""

from __future__ import annotations

import json

import pytest

from ddpzero.system.metric_info import (
    SHARE,
    MetricInfo,
    info_of,
    metrics_from_json,
    metrics_to_json,
    rate,
    sorted_tags,
)

METRICS = {
    "evaluation/wins_against_*": MetricInfo("Share of games won against *.", SHARE),
    "losses/total": MetricInfo("Weighted sum of all losses.", is_headline=True),
    "speed/games_per_second": rate("games", "Games."),
}


def test_a_pattern_describes_each_tag_that_it_stands_for() -> None:
    info = info_of(METRICS, "evaluation/wins_against_greedy")
    assert (info.description, info.unit) == ("Share of games won against greedy.", SHARE)


@pytest.mark.parametrize("tag", ["losses/total_2", "x/losses/total", "evaluation/wins_against"])
def test_a_metric_that_nobody_declares_is_a_mean_without_a_description(tag: str) -> None:
    assert info_of(METRICS, tag) == MetricInfo("", "", "mean")


def test_tags_come_in_the_order_of_their_declarations_and_others_behind_them() -> None:
    tags = ["z/other", "losses/total", "evaluation/wins_against_b", "evaluation/wins_against_a"]
    assert sorted_tags(METRICS, tags) == [
        "evaluation/wins_against_b",
        "evaluation/wins_against_a",
        "losses/total",
        "z/other",
    ]


def test_what_a_reader_shows_survives_a_file() -> None:
    read = metrics_from_json(json.loads(json.dumps(metrics_to_json(METRICS))))
    for tag, info in METRICS.items():
        shown = (info.description, info.unit, info.kind, info.is_headline)
        assert (
            read[tag].description,
            read[tag].unit,
            read[tag].kind,
            read[tag].is_headline,
        ) == shown


@pytest.mark.parametrize("value", [None, [], "x", {"a": 1}, {"a": {"kind": [], "unit": 3}}])
def test_declarations_that_cannot_be_read_are_plain_ones(value: object) -> None:
    assert set(metrics_from_json(value).values()) <= {MetricInfo()}
    assert metrics_from_json({"a": {"description": "\x1b[31m"}})["a"].description == "?[31m"
