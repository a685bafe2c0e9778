"""Facts about matches.jsonl."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ddpzero.arena.match_log import MATCHES_FILE, Block, MatchLog, read_blocks


def block(key: str, **changes: object) -> Block:
    values = {
        "key": key,
        "player_a": "run-b1c8-s64-d32",
        "player_b": "rollout:100",
        "scores": ((1.0, 0.5), (0.0, 1.0)),
        "learner_step": 64,
        "samples": 32,
        "minutes": 0.25,
        "mean_plies": 12.5,
        "seconds": 1.5,
        "time": 1.7e9,
    }
    return Block(**{**values, **changes})


def test_blocks_are_read_as_they_were_written(tmp_path):
    log = MatchLog(tmp_path)
    log.append(block("a#0"))
    log.append(block("a#1", scores=((0.0, 0.0),)))
    assert read_blocks(tmp_path) == log.blocks == [block("a#0"), block("a#1", scores=((0.0, 0.0),))]
    assert MatchLog(tmp_path).keys == {"a#0", "a#1"}


def test_a_block_counts_once(tmp_path):
    log = MatchLog(tmp_path)
    log.append(block("a#0"))
    log.append(block("a#0", seconds=9.0))
    (line,) = (tmp_path / MATCHES_FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / MATCHES_FILE).write_bytes(line * 3)
    assert read_blocks(tmp_path) == [block("a#0")]


@pytest.mark.parametrize("kept", range(0, 160, 13))
def test_a_line_that_a_kill_cut_off_is_dropped_and_later_lines_are_whole(tmp_path, kept):
    log = MatchLog(tmp_path)
    log.append(block("a#0"))
    size_bytes = os.path.getsize(tmp_path / MATCHES_FILE)
    log.append(block("a#1"))
    os.truncate(tmp_path / MATCHES_FILE, size_bytes + kept)
    assert read_blocks(tmp_path) == [block("a#0")]
    again = MatchLog(tmp_path)
    again.append(block("a#1"))
    assert read_blocks(tmp_path) == [block("a#0"), block("a#1")]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('"player_a": "run-b1c8-s64-d32"', '"player_a": "rollout:100"'),
        ('"player_a": "run-b1c8-s64-d32"', '"player_a": 3'),
        ("[1.0, 0.5]", "[1.0, 0.7]"),
        ("[1.0, 0.5]", "[1.0]"),
        ("[[1.0, 0.5], [0.0, 1.0]]", "[]"),
        ('"seconds": 1.5', '"seconds": -1.5'),
        ('"minutes": 0.25', '"minutes": null'),
        ('"samples": 32', '"samples": 0.5'),
        ('"learner_step": 64', '"learner_step": 1e400'),
        ('{"key"', '["key"'),
    ],
)
def test_a_forged_line_is_skipped(tmp_path, right, wrong):
    MatchLog(tmp_path).append(block("a#0"))
    path: Path = tmp_path / MATCHES_FILE
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    MatchLog(tmp_path).append(block("a#1"))
    assert read_blocks(tmp_path) == [block("a#1")]


def test_a_run_without_matches_has_none(tmp_path):
    assert read_blocks(tmp_path) == []
