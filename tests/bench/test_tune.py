"""What `ddpzero tune` chooses from its measurements, and that a run takes what it writes."""

from __future__ import annotations

import pytest
import torch

from ddpzero.bench import tune as tune_module
from ddpzero.bench.tune import (
    Choice,
    ForwardRate,
    choose_batch,
    numbers_of_actors,
    preset_text,
    run_tune,
    write_preset,
)
from ddpzero.config.hydra import compose_settings
from ddpzero.system.errors import UserError

TINY = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=8", "search.num_simulations=4"),
    *("device=cpu", "learner.batch_size=32"),
]


def rates(dtype: str, *values: float) -> list[ForwardRate]:
    return [ForwardRate(dtype, 2**n, rate) for n, rate in enumerate(values, start=4)]


def test_the_smallest_batch_is_chosen_that_is_about_as_fast_as_any():
    assert choose_batch(rates("float32", 50, 80, 96, 100, 99)).batch == 64
    assert choose_batch(rates("float32", 100, 99)).batch == 16


def test_a_narrow_dtype_must_be_clearly_faster():
    wide = rates("float32", 50, 100)
    assert choose_batch([*wide, *rates("bfloat16", 60, 105)]).dtype == "float32"
    chosen = choose_batch([*wide, *rates("bfloat16", 118, 120)])
    assert (chosen.dtype, chosen.batch) == ("bfloat16", 16)


@pytest.mark.parametrize(
    ("cores", "numbers"),
    [
        (1, [1]),
        (2, [1]),
        (4, [2, 3]),
        (8, [2, 3, 4, 7]),
        (16, [4, 6, 8]),
        (32, [8, 10, 12]),
        (96, [12, 14, 16]),
    ],
)
def test_the_numbers_of_actors_that_are_tried(cores, numbers):
    assert numbers_of_actors(cores) == numbers


def test_a_run_takes_what_is_measured_and_written(tmp_path, monkeypatch):
    for name in ("_FORWARD_SECONDS", "_LEARNER_SECONDS", "_PLAY_SECONDS"):
        monkeypatch.setattr(tune_module, name, 0.05)
    monkeypatch.setattr(tune_module, "_BATCHES", (4, 8))
    monkeypatch.setattr(tune_module, "load_of_others", lambda: "other programs use 2.0 of 2 cores")
    said: list[str] = []
    run_tune(compose_settings(TINY), tmp_path / "mine", "ddpzero tune", 0, said.append)
    text = (tmp_path / "mine" / "hardware" / "tuned.yaml").read_text()
    assert "# Written by `ddpzero tune` on 20" in text and " cores, ddpzero " in text
    assert "# Measured while other programs use 2.0 of 2 cores: " in text
    assert said[0].startswith("other programs use 2.0 of 2 cores: what is measured now is too slow")
    settings = compose_settings([*TINY, "+hardware=tuned"], str(tmp_path / "mine"))
    assert settings.actors.num_games in (4, 8) and settings.actors.num_actors >= 1
    assert settings.actors.precision in ("float32", "bfloat16")
    assert (settings.learner.batch_size, settings.device) == (32, "cpu")
    assert f"--config-dir {tmp_path / 'mine'} " in said[-1]
    assert any(line.startswith("self-play with 1 actor: ") for line in said)


def test_a_preset_that_another_one_hides_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(tune_module, "conf_dir", lambda: tmp_path / "conf")
    monkeypatch.setattr(tune_module, "tune", lambda *_: pytest.fail("measured"))
    write_preset([], tmp_path / "conf", "ddpzero tune")
    with pytest.raises(
        UserError, match=r"conf/hardware/tuned.yaml exists, and a run finds it before"
    ):
        run_tune(compose_settings(TINY), tmp_path / "mine", "ddpzero tune", 0, lambda _: None)


def test_each_batch_counts_as_fast_as_it_was_at_its_best(monkeypatch):
    monkeypatch.setattr(tune_module, "_BATCHES", (4, 8))
    measured = []

    def rate(inference, batch):
        measured.append(batch)
        return batch * (10.0 if len(measured) == 3 else 1.0)

    monkeypatch.setattr(tune_module, "_forward_rate", rate)
    monkeypatch.setattr(tune_module, "_LONG_BATCH_SECONDS", 10.0)
    assert tune_module._forward_rates(None) == {4: 40.0, 8: 8.0}
    assert measured[:4] == [4, 8, 4, 8]


def test_a_slow_network_is_measured_with_small_batches_and_few_rounds(monkeypatch):
    measured = []
    monkeypatch.setattr(
        tune_module, "_forward_rate", lambda _, batch: measured.append(batch) or 100.0
    )
    monkeypatch.setattr(tune_module, "_LONG_FORWARD_SECONDS", -1.0)
    assert tune_module._forward_rates(None) == {16: 100.0, 32: 100.0, 64: 100.0}
    assert measured == [16, 32, 64]


def test_self_play_without_an_episode_in_time_gets_the_usual_number_of_actors(monkeypatch):
    monkeypatch.setattr(tune_module, "_PLAY_START_SECONDS", -1.0)
    monkeypatch.setattr(tune_module, "usable_cores", lambda: 8)
    said: list[str] = []
    settings = compose_settings(TINY)
    (choice,) = tune_module._of_self_play(settings, torch.device("cpu"), 0, said.append)
    assert (choice.key, choice.value) == ("actors.num_actors", 2)
    assert choice.reason.startswith("not measured: ")
    assert len(said) == 1 and said[0].startswith("self-play with 2 actors: no episode within ")


@pytest.mark.parametrize(
    ("seconds_of_sample", "batches"), [(0.001, [32, 16, 64]), (0.1, [32]), (1.0, [])]
)
def test_the_slower_an_update_the_fewer_are_measured(monkeypatch, seconds_of_sample, batches):
    measured = []

    def rate(settings, seed, num_threads, batch_size=32):
        measured.append(batch_size)
        return 1.0

    monkeypatch.setattr(tune_module, "_learner_rate", rate)
    monkeypatch.setattr(tune_module, "usable_cores", lambda: 2)
    choices = tune_module._of_learner(compose_settings(TINY), 0, seconds_of_sample, lambda _: None)
    assert measured == batches
    assert choices[-1].key == "learner.batch_size" and choices[-1].value == 32
    assert ("not measured" in choices[-1].reason) == (not batches)


@pytest.mark.parametrize(("batch", "parts", "sizes"), [(1, 1, [1, 2]), (32, 32, [32, 64])])
def test_only_batches_are_measured_that_can_be(monkeypatch, batch, parts, sizes):
    measured = []

    def rate(settings, seed, num_threads, batch_size=batch):
        measured.append(batch_size)
        return 1.0

    monkeypatch.setattr(tune_module, "_learner_rate", rate)
    monkeypatch.setattr(tune_module, "usable_cores", lambda: 2)
    own = [*TINY, f"learner.batch_size={batch}", f"learner.gradient_accumulation={parts}"]
    tune_module._of_learner(compose_settings(own), 0, 0.001, lambda _: None)
    assert measured == sizes


def test_every_setting_has_its_reason_and_its_group():
    choices = [Choice("device", "cpu", "a"), Choice("actors.num_actors", 3, "b")]
    choices += [Choice("learner.num_threads", 1, "c"), Choice("actors.num_games", 64, "d")]
    lines = preset_text(choices, "ddpzero tune").splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[3:] == [
        *("device: cpu # a", "actors:", "  num_actors: 3 # b", "  num_games: 64 # d"),
        *("learner:", "  num_threads: 1 # c"),
    ]


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(tune_module, "tune", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"--config-dir: no file can be written in .*/file/hardware"
    ):
        run_tune(compose_settings(TINY), tmp_path / "file", "ddpzero tune", 0, lambda _: None)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"tuned.yaml cannot be written: .*Choose another --config"):
        write_preset([], tmp_path / "file", "ddpzero tune")
