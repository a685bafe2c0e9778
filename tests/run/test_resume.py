"""What a run resumes from: forged checkpoints are skipped, other settings work, restart a part, or are named."""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save as tensors_to_bytes

from ddpzero.arena.agents import load_agent
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import SampleSpec
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.checkpoint_files import (
    FileRecord,
    newest_first,
    read_manifest,
    write_arrays,
    write_manifest,
)
from ddpzero.run.shard import read_shard, write_shard
from ddpzero.system.errors import UserError
from ddpzero.system.guarded_files import map_arrays, read_tensors, read_torch, read_yaml
from ddpzero.training.learner import Learner
from tests.run.checkpointed_runs import resume, truncate, without_actors

BOARD = (
    *("game=dots_and_boxes", "game.rows=2", "game.columns=2"),
    *("network.blocks=1", "network.channels=8", "loss.next_policy=0"),
)
SNAKES = ("+experiment=snakes", "game.rows=8", "game.columns=10", "network.width=8")
SMALL = (
    *("device=cpu", "learner.precision=float32", "actors.precision=float32", "runs_dir=unused"),
    *("replay.capacity=50", "replay.min_samples=20", "learner.batch_size=8"),
    *("learner.learning_rate_schedule=constant", "run_name=x"),
)
STEPS = (2, 4)
REPLAY = "replay-rank0.safetensors"


@pytest.fixture(autouse=True)
def no_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    without_actors(monkeypatch)


composed = cache(compose_settings)


def start(run_dir: Path, game: tuple[str, ...], *overrides: str) -> Learner:
    """Begin or resume a run as train() does, up to its first episode."""
    return resume(run_dir, composed((*game, *SMALL, *overrides)))


def samples(spec: SampleSpec, num_samples: int) -> dict[str, Any]:
    numbers = torch.Generator().manual_seed(0)
    columns = {}
    for name, field in spec.items():
        column = torch.rand((num_samples, *field.shape), generator=numbers).numpy()
        if field.sums:
            column /= column.sum(axis=1, keepdims=True)
        columns[name] = column.astype(field.dtype)
    return columns


def make_run(run_dir: Path, game: tuple[str, ...]) -> Path:
    """A run with a checkpoint after each of STEPS."""
    learner = start(run_dir, game)
    learner.parts.buffer.add(samples(learner.parts.buffer.spec, 30))
    learner.state.counters.samples = 30
    for step in STEPS:
        learner.parts.updater.update(learner.parts.feeder.take(), 1e-3)
        learner.state.counters.learner_step = learner.state.counters.samples_trained = step
        learner.save()
    return run_dir


@pytest.fixture(scope="module")
def whole_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        without_actors(patch)
        yield {
            "board": make_run(folder / "board", BOARD),
            "snakes": make_run(folder / "snakes", SNAKES),
        }


@pytest.fixture
def board(whole_runs: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(whole_runs["board"], tmp_path / "board")


@pytest.fixture
def snakes(whole_runs: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(whole_runs["snakes"], tmp_path / "snakes")


def newest(run_dir: Path) -> Path:
    return newest_first(run_dir / "checkpoints")[0]


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and seal the checkpoint again, as an attacker would."""
    (folder / name).write_bytes(content)
    manifest = read_manifest(folder)
    manifest.files[name] = FileRecord(len(content), zlib.crc32(content))
    write_manifest(folder, manifest)


def saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


# -------------------------------------------------------------------------- forged

ANYTHING: tuple[Any, ...] = (None, True, -1, 10**30, 1.5, "x", "../..", [], {}, [1], {"a": 1})
TENSORS = (torch.zeros(3), torch.zeros(2, 2, dtype=torch.int64), torch.zeros(1).expand(10**7))


def variants(document: Any, values: tuple[Any, ...], num_variants: int, seed: int) -> Iterator[Any]:
    """Copies in which something is replaced, removed or added, at any depth."""
    numbers = random.Random(seed)

    def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield path
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, entry in entries if isinstance(value, (Mapping, list)) else ():
            if isinstance(entry, (Mapping, list)):
                yield from paths(entry, (*path, key))
            else:
                yield (*path, key)

    everywhere = list(paths(document))
    for path in numbers.sample(everywhere, min(num_variants, len(everywhere))):
        variant = copy.deepcopy(document)
        value = numbers.choice(values)
        if not path:
            yield value
            continue
        parent = variant
        for key in path[:-1]:
            parent = parent[key]
        change = numbers.choice(("replace", "replace", "remove", "add"))
        if change == "remove":
            del parent[path[-1]]
        elif change == "add" and isinstance(parent, Mapping):
            parent["extra"] = value  # type: ignore[index]  # they are dicts
        else:
            parent[path[-1]] = value
        yield variant


def goes_on(run_dir: Path, game: tuple[str, ...], caplog: pytest.LogCaptureFixture) -> int:
    """Resume; what is passed over is told in one line. Returns the step."""
    caplog.clear()
    learner = start(run_dir, game)
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert all("\n" not in warning for warning in warnings)
    assert all("weights_only" not in warning for warning in warnings)
    assert learner.state.counters.learner_step in STEPS
    assert learner.state.counters.learner_step == STEPS[-1] or "skipped checkpoint" in warnings[0]
    return learner.state.counters.learner_step


@pytest.mark.parametrize("name", ["trainer.pt", "rank0.json", "config.yaml"])
@pytest.mark.parametrize(("run", "game"), [("board", BOARD), ("snakes", SNAKES)])
def test_a_forged_checkpoint_is_passed_over_or_does_no_harm(
    run: str,
    game: tuple[str, ...],
    name: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_dir = request.getfixturevalue(run)
    folder = newest(run_dir)
    content = (folder / name).read_bytes()
    document, write = {
        "trainer.pt": lambda: (read_torch(folder / name), saved),
        "rank0.json": lambda: (json.loads(content), lambda value: json.dumps(value).encode()),
        "config.yaml": lambda: (
            yaml.safe_load(content),
            lambda value: yaml.safe_dump(value).encode(),
        ),
    }[name]()
    values = ANYTHING + (TENSORS if name == "trainer.pt" else ())
    for number, variant in enumerate(variants(document, values, 8, seed=len(run))):
        forge(folder, name, write(variant))
        try:
            goes_on(run_dir, game, caplog)
        except UserError as error:
            # A config with other values is refused as such.
            assert name == "config.yaml", (number, error)


@pytest.mark.parametrize("state", [None, 1, "x", [], [1], torch.zeros(3), torch.zeros(())])
def test_a_trainers_state_that_is_no_mapping_is_passed_over(
    board: Path, caplog: pytest.LogCaptureFixture, state: Any
) -> None:
    forge(newest(board), "trainer.pt", saved(state))
    assert goes_on(board, BOARD, caplog) == STEPS[0]


def set_shape(header: dict[str, Any], field: str) -> None:
    header[field]["shape"][0] //= 2


def set_offsets(header: dict[str, Any], field: str) -> None:
    header[field]["data_offsets"] = [0, 4]


def set_dtype(header: dict[str, Any], field: str) -> None:
    others = {"U8": "I8", "I64": "U64", "I32": "F32", "F16": "I16", "F32": "I32"}
    header[field]["dtype"] = others[header[field]["dtype"]]


def rename(header: dict[str, Any], field: str) -> None:
    header["another"] = header.pop(field)


@pytest.mark.parametrize("change", [set_shape, set_offsets, set_dtype, rename])
@pytest.mark.parametrize("name", ["replay-rank0.safetensors", "weights.safetensors"])
def test_arrays_that_are_not_this_runs_are_passed_over(
    board: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    change: Callable[[dict[str, Any], str], None],
) -> None:
    content = (newest(board) / name).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    change(header, next(iter(header)))
    text = json.dumps(header).encode()
    forge(newest(board), name, len(text).to_bytes(8, "little") + text + content[8 + size :])
    assert goes_on(board, BOARD, caplog) == STEPS[0]


def seal(folder: Path, **changes: Any) -> None:
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.__class__(**vars(manifest) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {}},
        {"files": {"../../x": FileRecord(1, 1)}},
        {"world_size": 10**9},
        {"world_size": "2"},
        {"world_size": 0},
        {"model": "../x"},
        {"model": ["x"]},
        {"counters": {}},
        {"counters": {"learner_step": "4"}},
        {"counters": {"learner_step": 4, "episodes": 0.5}},
        {"counters": {"learner_step": 4, "minutes": -1.0}},
        {"counters": {"learner_step": 10**30}},
        {"saved_at": 5},
    ],
)
def test_a_manifest_with_other_values_is_passed_over(
    board: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    seal(newest_first(board / "checkpoints")[0], **changes)
    assert goes_on(board, BOARD, caplog) == STEPS[0]


def test_counters_of_other_versions_are_ignored_or_begin_at_zero(
    board: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seal(newest(board), counters={"learner_step": STEPS[1], "of_the_future": 7})
    assert goes_on(board, BOARD, caplog) == STEPS[1]
    assert "of another version of ddpzero are ignored: of_the_future" in caplog.text


def overwrite(name: str, value: float) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        columns[name].reshape(-1)[-1] = value

    return change


@pytest.mark.parametrize(
    ("run", "change", "reason"),
    [
        ("board", overwrite("policy_target", math.nan), "policy_target holds nan"),
        (
            "board",
            overwrite("policy_target", 0.9),
            "policy_target has rows whose sum is not 0 or 1",
        ),
        ("board", overwrite("root_value", -3), "root_value holds -3"),
        ("board", overwrite("outcome", math.inf), "outcome holds inf"),
        ("board", overwrite("ownership", 100), "ownership holds 100"),
        ("board", overwrite("score", 1e9), "score holds 1e+09"),
        ("board", overwrite("weights_version", -1), "weights_version holds -1"),
        ("board", overwrite("weights_version", 50), "a sample is of weights_version 50, of 3"),
        ("snakes", overwrite("observation", math.nan), "observation holds nan"),
        ("snakes", overwrite("reward", -math.inf), "reward holds -inf"),
        ("snakes", overwrite("discount", 1.5), "discount holds 1.5"),
        ("snakes", overwrite("choice", 200), "choice holds 200"),
        ("snakes", overwrite("weights_version", -7), "weights_version holds -7"),
    ],
)
def test_samples_that_nobody_could_have_made_are_left_out(
    run: str,
    change: Callable[[dict[str, Any]], None],
    reason: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_dir = request.getfixturevalue(run)
    (path,) = (run_dir / "episodes" / "rank0").glob("*.npz")
    shard = read_shard(path)
    change(shard.columns)
    write_shard(path, shard)
    seal(newest(run_dir), counters=read_manifest(newest(run_dir)).counters | {"weights_version": 3})
    assert goes_on(run_dir, BOARD if run == "board" else SNAKES, caplog) == STEPS[1]
    assert "30 samples of the replay buffer are lost: shard 0 of rank 0: " in caplog.text
    assert reason in caplog.text


def test_a_damaged_shard_costs_only_its_samples(
    board: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = (board / "episodes" / "rank0").glob("*.npz")
    truncate(path)
    learner = start(board, BOARD)
    assert learner.state.counters.learner_step == STEPS[1]
    assert learner.parts.buffer.num_samples == 0
    assert "30 samples of the replay buffer are lost" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("num_inserted", 10**12, "has inserted 1000000000000 samples of the 30"),
        ("num_sampled", 10**12, "has sampled 1000000000000 rows"),
        ("num_inserted", 29, "contradict its 30 samples"),
    ],
)
def test_counts_that_nobody_could_have_are_passed_over(
    board: Path, caplog: pytest.LogCaptureFixture, name: str, value: int, reason: str
) -> None:
    state = json.loads((newest(board) / "rank0.json").read_bytes())
    state["replay_meta"][name] = value
    forge(newest(board), "rank0.json", json.dumps(state).encode())
    assert goes_on(board, BOARD, caplog) == STEPS[0]
    assert reason in caplog.text


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("run_starts", lambda array: array - 10),
        ("run_lengths", lambda array: array + 2**40),
        ("run_lengths", lambda array: -array),
        ("run_lengths", lambda array: array + 8),
        ("is_held_out_bits", lambda array: array[:1]),
        ("is_held_out_bits", lambda array: array.astype(np.int64)),
    ],
)
def test_names_of_samples_that_cannot_be_are_passed_over(
    board: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    arrays = {name: a.copy() for name, a in map_arrays(newest(board) / REPLAY).items()}
    arrays[name] = change(arrays[name])
    write_arrays(newest(board) / REPLAY, arrays)
    forge(newest(board), REPLAY, (newest(board) / REPLAY).read_bytes())
    assert goes_on(board, BOARD, caplog) == STEPS[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"learner_step": 10**12}, "learner_step=1000000000000 is above 4 samples trained"),
        ({"samples_trained": 10**12}, "are not the counts of"),
        ({"samples": 0}, "are not the counts of"),
        ({"weights_version": 2**31}, "weights_version=2147483648 is too large"),
    ],
)
def test_counters_that_contradict_each_other_are_passed_over(
    board: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, int], reason: str
) -> None:
    seal(newest(board), counters=read_manifest(newest(board)).counters | changes)
    assert goes_on(board, BOARD, caplog) == STEPS[0]
    assert reason in caplog.text


@pytest.mark.parametrize("run", ["board", "snakes"])
@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("game.name", "hex", "its game.name is 'hex'"),
        ("algorithm.plugin", "os", "its algorithm.plugin is 'os'"),
        ("game", [1], "its game is [1]"),
        ("game.source", -1, "its game.source is -1"),
        ("network", None, "network=null is not allowed"),
        ("learner", "x", "learner=x is not a group of keys"),
        ("learner.batch_size", "8", "learner.batch_size='8' is not a whole number"),
        ("learner.batch_size", -1, "learner.batch_size=-1"),
        ("learner.learning_rate", {"a": 1}, "learner.learning_rate={a:1} is not a finite number"),
        ("seed", 10**30, "seed="),
        ("game.rows", "x", "game.rows='x' is not a whole number"),
    ],
)
def test_a_forged_config_is_passed_over_where_an_older_checkpoint_has_this_runs(
    run: str,
    key: str,
    value: Any,
    reason: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_dir = request.getfixturevalue(run)
    set_in_config(newest(run_dir), key, value)
    assert goes_on(run_dir, BOARD if run == "board" else SNAKES, caplog) == STEPS[0]
    assert "its config is not of this run" in caplog.text
    assert reason in caplog.text


def test_a_config_without_a_game_is_passed_over(
    board: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for config in ({}, {"a": 1}, {"game": {}}, {"game": {"name": None}}):
        forge(newest(board), "config.yaml", yaml.safe_dump(config).encode())
        assert goes_on(board, BOARD, caplog) == STEPS[0]


def set_in_config(folder: Path, key: str, value: Any) -> None:
    config = read_yaml(folder / "config.yaml")
    group, _, name = key.rpartition(".")
    (config[group] if group else config)[name] = value
    forge(folder, "config.yaml", yaml.safe_dump(config).encode())


@pytest.mark.parametrize(("key", "value"), [("learner.batch_size", 4), ("game.name", "hex")])
def test_a_config_that_differs_from_that_of_all_checkpoints_is_refused(
    board: Path, key: str, value: Any
) -> None:
    for folder in newest_first(board / "checkpoints"):
        set_in_config(folder, key, value)
    with pytest.raises(UserError, match=f"a different config:\n  {key}: was {value!r}, is "):
        start(board, BOARD)


def test_networks_that_another_version_built_are_named_with_that_version(board: Path) -> None:
    for folder in newest_first(board / "checkpoints"):
        weights = read_tensors(folder / "weights.safetensors")
        weights["an.old.name"] = weights.pop(next(iter(weights)))
        forge(folder, "weights.safetensors", tensors_to_bytes(weights))
        manifest = read_manifest(folder)
        seal(folder, versions={**manifest.versions, "ddpzero": "0.0.9"}, saved_at="2025-01-31T")
    with pytest.raises(
        UserError, match=r"an\.old\.name .*: ddpzero 0\.0\.9 on 2025-01-31 built them"
    ):
        start(board, BOARD)


def test_a_setting_that_is_gone_is_named_as_such(board: Path) -> None:
    for folder in newest_first(board / "checkpoints"):
        set_in_config(folder, "algorithm.policy_weight", 1.0)
    with pytest.raises(UserError, match=r"policy_weight: was 1\.0, is no setting of this version"):
        start(board, BOARD)


def test_a_change_of_the_users_is_refused_though_an_older_checkpoint_lacks_it(board: Path) -> None:
    set_in_config(newest(board), "learner.batch_size", 4)
    with pytest.raises(UserError, match=r"learner\.batch_size: was 4, is 8"):
        start(board, BOARD)


def test_rows_after_the_checkpoint_are_dropped_when_the_run_resumes(board: Path) -> None:
    last = STEPS[-1]
    written = [
        {"learner_step": step, "losses/total": 1.0} for step in (1, last, last + 1, last + 2)
    ]
    (board / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in written))
    record = start(board, BOARD).reports.outlets.record
    for step in (last, last + 2):
        record.row(step, {"losses/total": 2.0})
    rows = map(json.loads, (board / "metrics.jsonl").read_text().splitlines())
    assert [(row["learner_step"], row["losses/total"]) for row in rows] == [
        (1, 1.0),
        (last, 1.0),
        (last + 2, 2.0),
    ]


def test_where_none_is_usable_the_last_reason_is_told(board: Path) -> None:
    for path in (board / "checkpoints").iterdir():
        (path / "trainer.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"contains no usable checkpoint.*trainer\.pt has 0 bytes"):
        start(board, BOARD)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to(path)])
@pytest.mark.parametrize("name", [".config.yaml.aside", ".status.json.aside", "metrics.jsonl"])
def test_what_stands_in_the_way_of_a_file_of_the_run_ends_nothing(
    board: Path, name: str, make: Callable[[Path], None]
) -> None:
    (board / name).unlink(missing_ok=True)
    make(board / name)
    learner = start(board, BOARD)
    assert learner.state.counters.learner_step == STEPS[-1]
    learner.reports.outlets.record.row(STEPS[-1] + 1, {"losses/total": 1.0})
    learner.reports.outlets.record.status("running")
    assert read_yaml(board / "config.yaml")["game"]["rows"] == 2
    assert json.loads((board / "status.json").read_text())["state"] == "running"


# ------------------------------------------------------------------- other settings

ALLOW = "checkpoint.allow_config_change=true"


def warnings_of(
    run_dir: Path, game: tuple[str, ...], caplog: pytest.LogCaptureFixture, *overrides: str
) -> list[str]:
    caplog.clear()
    learner = start(run_dir, game, ALLOW, *overrides)
    assert learner.state.counters.learner_step == STEPS[-1]
    if learner.parts.buffer.num_samples:
        learner.parts.updater.update(learner.parts.feeder.take(), 1e-3)
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize(("run", "game"), [("board", BOARD), ("snakes", SNAKES)])
def test_another_optimizer_begins_anew_with_one_warning(
    run: str,
    game: tuple[str, ...],
    optimizer: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_dir = request.getfixturevalue(run)
    before = read_yaml(newest(run_dir) / "config.yaml")["learner"]["optimizer"]
    if before == optimizer:
        optimizer = "muon" if run == "board" else "sgd"
    change = f"learner.optimizer={optimizer}"
    (warning,) = warnings_of(run_dir, game, caplog, change)
    assert warning.startswith(f"{change} begins anew")


@pytest.mark.parametrize(
    ("run", "change"),
    [
        ("board", "learner.batch_size=16"),
        ("board", "learner.ema_decay=0"),
        ("board", "learner.weight_decay=0.1"),
        ("board", "learner.schedule=rounds"),
        ("board", "search=puct"),
        ("board", "loss.score=0.1"),
        ("board", "seed=5"),
        ("board", "algorithm.root_value_weight=0.2"),
        ("snakes", "opponent.num_past_selves=1"),
        ("snakes", "opponent.num_past_selves=9"),
        ("snakes", "opponent=linear"),
        ("snakes", "opponent.first_level=3"),
        ("snakes", "algorithm.gamma=0.5"),
        ("snakes", "learner.batch_size=16"),
    ],
)
def test_other_settings_go_on_without_a_word(
    run: str, change: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    game = BOARD if run == "board" else SNAKES
    assert warnings_of(request.getfixturevalue(run), game, caplog, change) == []


def test_the_weight_decay_of_now_counts_not_the_saved_one(board: Path) -> None:
    learner = start(board, BOARD, ALLOW, "learner.weight_decay=0.125")
    decays = {
        group["weight_decay"]
        for optimizer in learner.parts.updater._trained._step.optimizers  # type: ignore[attr-defined]
        for group in optimizer.param_groups
    }
    assert decays == {0.125, 0.0}


@pytest.mark.parametrize("change", ["search.score_weight=0.2", "game.rows=3"])
def test_samples_that_do_not_fit_begin_anew_with_one_warning(
    board: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    (warning,) = warnings_of(board, BOARD, caplog, change)
    assert warning.startswith("30 samples of the replay buffer are lost: shard 0 of rank 0: ")


def test_samples_go_on_where_a_setting_adds_a_field_with_a_stand_in(
    board: Path, caplog: pytest.LogCaptureFixture
) -> None:
    added = warnings_of(
        board, BOARD, caplog, "algorithm.value_lambda=0.8", "algorithm.surprise_weight=0.5"
    )
    assert added == [
        "the saved samples have no lambda_value: outcome takes its place",
        "the saved samples have no lambda_draw: outcome_draw takes its place",
        "the saved samples have no surprise: 1 takes its place",
    ]


@pytest.mark.parametrize(
    ("run", "change", "difference"),
    [
        ("board", "network.blocks=2", "network.blocks: was 1, is 2"),
        ("board", "loss.next_policy=0.5", "loss.next_policy: was 0.0, is 0.5"),
        ("snakes", "network.width=16", "network.width: was 8, is 16"),
        ("snakes", "algorithm.twin_critics=false", "algorithm.twin_critics: was True, is False"),
    ],
)
def test_other_networks_are_refused_with_the_keys_and_the_run_stays_as_it_was(
    run: str, change: str, difference: str, request: pytest.FixtureRequest
) -> None:
    run_dir = request.getfixturevalue(run)
    game = BOARD if run == "board" else SNAKES
    before = (run_dir / "config.yaml").read_text()
    with pytest.raises(UserError) as raised:
        start(run_dir, game, ALLOW, change)
    assert difference in str(raised.value)
    assert "another version" not in str(raised.value)
    assert (run_dir / "config.yaml").read_text() == before
    assert start(run_dir, game).state.counters.learner_step == STEPS[-1]


# ------------------------------------------------------------------- older versions


def forget(config: dict[str, Any], *paths: str) -> bytes:
    for path in paths:
        group, _, key = path.rpartition(".")
        del (config[group] if group else config)[key]
    return yaml.safe_dump(config).encode()


def test_keys_and_groups_that_an_old_config_lacks_have_their_defaults(board: Path) -> None:
    for path in newest_first(board / "checkpoints"):
        old = forget(
            read_yaml(path / "config.yaml"),
            *(
                "curriculum",
                "logging",
                "init_from",
                "search.score_weight",
                "replay.window_exponent",
            ),
            *("algorithm.random_symmetry", "game.source"),
        )
        forge(path, "config.yaml", old)
    assert start(board, BOARD).state.counters.learner_step == STEPS[-1]
    assert load_agent(board).game.name == "dots_and_boxes"
    with pytest.raises(UserError, match=r"search\.score_weight: was 0\.0, is 0\.3"):
        start(board, BOARD, "search.score_weight=0.3")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("of_the_future", 1, "algorithm.of_the_future=1 is not a setting"),
        ("plugin", "ddpzero.nothing", "cannot be imported"),
        ("root_value_weight", "x", "algorithm.root_value_weight=x is not a finite number"),
    ],
)
def test_a_player_says_whose_config_cannot_be_used(
    board: Path, key: str, value: Any, sentence: str
) -> None:
    config = read_yaml(newest(board) / "config.yaml")
    config["algorithm"][key] = value
    forge(newest(board), "config.yaml", yaml.safe_dump(config).encode())
    with pytest.raises(UserError, match=f"config of .*{newest(board).name} .*{sentence}"):
        load_agent(board)
    assert load_weights(board).counters["learner_step"] == STEPS[-1]


@pytest.mark.parametrize(
    ("run", "key", "value"),
    [
        ("board", "blocks", 900),
        ("board", "channels", 10**6),
        ("snakes", "width", 10**6),
        ("snakes", "layers", 900),
    ],
)
def test_a_player_takes_no_memory_for_a_network_that_only_a_config_claims(
    run: str, key: str, value: int, request: pytest.FixtureRequest
) -> None:
    run_dir = request.getfixturevalue(run)
    config = read_yaml(newest(run_dir) / "config.yaml")
    config["network"][key] = value
    forge(newest(run_dir), "config.yaml", yaml.safe_dump(config).encode())
    agent = load_agent(run_dir)
    with pytest.raises(UserError, match="do not belong together"):
        agent.make_player()
