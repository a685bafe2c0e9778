"""Whole runs under torchrun: they learn, stop, resume, and in schedule "rounds" they repeat bit by bit."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from ddpzero.config.hydra import compose_settings
from ddpzero.games import load_game
from ddpzero.run.checkpoint_content import load_weights
from ddpzero.run.checkpoint_files import read_manifest
from tests.run.checkpointed_runs import resume, without_actors
from tests.torchrun import run_ranks
from tests.training.whole_runs import (
    assert_equal,
    final_state,
    kill_group,
    latest_checkpoint,
    run,
    start,
    wait_for_checkpoint,
)

TINY = [
    "game=tic_tac_toe",
    "device=cpu",
    "network.blocks=1",
    "network.channels=16",
    "search.num_simulations=8",
    "actors.num_actors=1",
    "actors.num_games=8",
    "actors.precision=float32",
    "replay.capacity=4000",
    "replay.min_samples=200",
    "learner.batch_size=32",
    "learner.precision=float32",
    "logging.interval_seconds=1",
]
ROUNDS = [
    "learner.schedule=rounds",
    "learner.episodes_per_round=20",
    "learner.steps_per_round=25",
    "learner.max_epochs=4",
]
# Long rounds of training, so that a signal finds one half done.
LONG_ROUNDS = [
    *ROUNDS[:2],
    "learner.steps_per_round=200",
    "learner.max_epochs=2",
    "actors.num_actors=2",
]
ONE_EPOCH = ["learner.steps_per_epoch=20", "learner.max_epochs=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has reached its limit, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    run(folder, TINY, *ONE_EPOCH)
    return folder


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a run of LONG_ROUNDS that nobody stops comes to."""
    folder = tmp_path_factory.mktemp("straight")
    run(folder, TINY, *LONG_ROUNDS)
    return final_state(folder)


@pytest.mark.slow
def test_a_run_in_rounds_killed_and_resumed_equals_one_never_stopped(tmp_path, straight):
    process = start(tmp_path, TINY, *LONG_ROUNDS)
    wait_for_checkpoint(tmp_path, process)
    kill_group(process, signal.SIGKILL)
    process.communicate()
    run(tmp_path, TINY, *LONG_ROUNDS)
    assert_equal(straight, final_state(tmp_path))


@pytest.mark.slow
def test_a_run_in_rounds_stopped_by_sigterm_inside_a_round_resumes_bit_by_bit(tmp_path, straight):
    process = start(tmp_path, TINY, *LONG_ROUNDS)
    wait_for_checkpoint(tmp_path, process)
    time.sleep(0.7)
    kill_group(process, signal.SIGTERM)
    process.communicate(timeout=60)
    run(tmp_path, TINY, *LONG_ROUNDS)
    assert_equal(straight, final_state(tmp_path))


# Actors are new processes, which import this program.
SAVED_INSIDE_A_ROUND = """
from ddpzero.training import checkpoint_schedule, pace
from ddpzero.config.hydra import compose_settings
from ddpzero.config.conversion import settings_to_dict
from ddpzero.training.learner import Learner, train
from ddpzero.system.signals import StopSignal

def run(name):
    settings = compose_settings([*SETTINGS, f"runs_dir={folder / name}", "run_name=tiny"])
    train(settings, settings_to_dict(settings), StopSignal())

def main():
    if RUN == "straight":
        run("straight")
        return say(saved_at=[])
    # Ranks meet, and save, after each update.
    pace._SECONDS_BETWEEN_MEETINGS = 0.0
    checkpoint_schedule._LONGEST_GAP_SECONDS = 0.0
    checkpoint_schedule._SECONDS_BETWEEN_PER_SECOND_OF_SAVING = 0.0
    save, saved_at = Learner.save, []
    def save_and_die(learner):
        save(learner)
        saved_at.append(learner.state.counters.learner_step)
        if saved_at[-1] == DIES_AT:
            say(saved_at=saved_at)
            os._exit(0)
    Learner.save = save_and_die
    run("killed")
    say(saved_at=saved_at)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_a_run_killed_after_a_save_inside_a_round_equals_one_never_interrupted(
    tmp_path: Path,
) -> None:
    settings = [*TINY, *ROUNDS[:3], "learner.max_epochs=2"]
    saved_at = []
    for name, dies_at in (("straight", None), ("killed", 37), ("killed", None)):
        constants = f"SETTINGS, RUN, DIES_AT = {settings!r}, {name!r}, {dies_at}\n"
        answers = run_ranks(tmp_path, constants + SAVED_INSIDE_A_ROUND, 2, 240)
        saved_at.append(answers[0]["saved_at"])
    # A round has 25 steps.
    assert saved_at[1][-2:] == [36, 37]
    assert saved_at[2][:2] == [37, 38]
    assert_equal(final_state(tmp_path / "killed"), final_state(tmp_path / "straight"))


@pytest.mark.slow
def test_sigterm_leaves_a_checkpoint_within_seconds_and_the_same_command_goes_on(tmp_path):
    endless = ["learner.steps_per_epoch=20"]
    process = start(tmp_path, TINY, *endless, num_ranks=2)
    wait_for_checkpoint(tmp_path, process)
    started = time.monotonic()
    kill_group(process, signal.SIGTERM)
    process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    first = load_weights(tmp_path / "tiny").counters["learner_step"]
    output = run(tmp_path, TINY, *endless, f"learner.max_epochs={first // 20 + 2}", num_ranks=2)
    assert "resumed from" in output
    assert load_weights(tmp_path / "tiny").counters["learner_step"] > first


@pytest.mark.slow
def test_a_run_resumes_with_another_number_of_ranks(tmp_path):
    run(tmp_path, TINY, "learner.steps_per_epoch=20", "learner.max_epochs=1", num_ranks=2)
    before = load_weights(tmp_path / "tiny").counters
    output = run(tmp_path, TINY, "learner.steps_per_epoch=20", "learner.max_epochs=2", num_ranks=1)
    after = load_weights(tmp_path / "tiny").counters
    assert after["learner_step"] > before["learner_step"]
    assert "replay" in output and "world size 2" in output


@pytest.mark.slow
def test_another_config_in_the_same_folder_is_refused_with_the_differing_key(finished):
    process = start(finished, TINY, *ONE_EPOCH, "network.channels=32")
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "network.channels" in output and "16" in output and "32" in output


@pytest.mark.slow
def test_a_run_whose_game_has_changed_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config is the same, the networks are not: a sentence, not torch's error."""
    source = tmp_path / "my_game.py"
    text = Path(load_game("tic_tac_toe").module.__file__).read_text()
    source.write_text(text)
    own = ["game=tic_tac_toe", "game.name=my_game", f"game.source={source}"]
    own = [*(entry for entry in TINY if not entry.startswith("game")), *own]
    without_actors(monkeypatch)
    settings = compose_settings([*own, *ONE_EPOCH, f"runs_dir={tmp_path}", "run_name=tiny"])
    resume(tmp_path / "tiny", settings).save()
    source.write_text(text.replace("num_planes=3", "num_planes=4"))
    process = start(tmp_path, own, "learner.steps_per_epoch=20", "learner.max_epochs=2")
    output, _ = process.communicate(timeout=240)
    assert process.returncode != 0
    before, found, _ = " ".join(output.split()).partition("or the game's file was another one")
    assert found
    assert "Traceback" not in before  # torchrun's own follows


@pytest.mark.slow
def test_a_finished_run_says_which_limit_to_raise(finished):
    assert "learner.max_epochs=1 is reached" in run(finished, TINY, *ONE_EPOCH)


@pytest.mark.slow
def test_actors_on_a_gpu_that_is_not_there_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    process = start(tmp_path, TINY, "actors.device=cuda", "actors.max_restarts=0")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "actors.device=cuda: PyTorch sees no GPU here" in " ".join(output.split())


@pytest.mark.slow
def test_the_status_file_says_finished_and_why(finished):
    status = json.loads((finished / "tiny" / "status.json").read_text())
    assert status["state"] == "finished"
    assert "max_epochs" in status["stop_reason"]


@pytest.mark.slow
def test_a_curriculum_and_a_growing_network_resume_bit_by_bit(tmp_path):
    """Small boards for 50 updates, then both sizes; the network grows before that and is killed soon after it.

    The number of simulations doubles meanwhile.
    """
    stages = (
        "[{until_step:50,boards:[{game:{rows:1}}]},{boards:[{game:{rows:1}},{num_simulations:6}]}]"
    )
    settings = [
        *(entry for entry in TINY if not entry.startswith("game")),
        *("game=dots_and_boxes", "game.rows=2", "game.columns=2"),
        f"curriculum.stages={stages}",
        "algorithm.final_num_simulations=16",
        "network.growth=[{after_step:25,blocks:2,channels:24},{after_fraction:0.7,channels:32}]",
        "checkpoint.interval_minutes=0",
    ]
    output = run(tmp_path / "straight", settings, *ROUNDS)
    assert "curriculum: stage 1 of 2: 100 % 3x5 with 8 simulations" in output
    assert "curriculum: stage 2 of 2: 50 % 3x5 with 8 simulations, 50 % 5x5 with 6" in output
    assert "the network grew from 1x16 to 2x24: outputs " in output
    process = start(tmp_path / "killed", settings, *ROUNDS)
    assert "-b2c24-" in wait_for_checkpoint(tmp_path / "killed", process).name
    kill_group(process, signal.SIGKILL)
    process.communicate()
    resumed = run(tmp_path / "killed", settings, *ROUNDS)
    assert "curriculum: stage 2 of 2" in resumed
    assert "the network grew from 2x24 to 2x32: outputs " in resumed
    assert_equal(final_state(tmp_path / "straight"), final_state(tmp_path / "killed"))


@pytest.mark.slow
def test_a_larger_network_trains_on_the_games_of_a_finished_run_without_actors(tmp_path, finished):
    source = f"data.sources=[{finished / 'tiny'}]"
    output = run(
        tmp_path,
        TINY,
        *ONE_EPOCH[:1],
        source,
        "network.channels=24",
        "learner.max_minutes=0.03",
        "seed=5",
    )
    assert "finished" in output
    path = latest_checkpoint(tmp_path / "tiny")
    assert path is not None
    assert "c24-" in path.name
    assert not list((tmp_path / "tiny" / "logs").glob("*actor*"))
    assert not list((tmp_path / "tiny").glob("episodes/*/*.npz"))
    counters = read_manifest(path).counters
    assert counters["samples"] > 0 and counters["episodes"] == 0
