"""Ranks meet between updates: how many they make until then, and what they agree on when they meet."""

from __future__ import annotations

import pytest

from ddpzero.training import pace as pace_module
from ddpzero.training.pace import Pace
from tests.torchrun import run_ranks

# A learner whose actors are made up: `poll` says which episodes have arrived. Its updates are real.
PRELUDE = """
from contextlib import ExitStack
import numpy as np
import torch
from ddpzero.bench.noise import noise
from ddpzero.config.conversion import settings_to_dict
from ddpzero.config.hydra import compose_settings
from ddpzero.replay import Episode
from ddpzero.run.progress import Progress
from ddpzero.run.ranks import join_ranks
from ddpzero.run.record import RunRecord
from ddpzero.system.signals import StopSignal
from ddpzero.training import learner as learner_module, pace
from ddpzero.training.learner import Learner, build_learner
from ddpzero.training.reports import Outlets
from ddpzero.training.state import RunState

class Actors:
    num_actors, num_restarts, is_compiling, has_heard = 1, 0, False, True
    def __init__(self, poll):
        self.poll = poll
    def take_bad_weights(self):
        return False
    def take_metrics(self):
        return {}

class Channel:
    def publish(self, weights, version):
        pass

def episode(spec):
    columns = noise(spec, 10, np.random.default_rng(0))
    columns["policy_target"] /= columns["policy_target"].sum(1, keepdims=True)
    info = {"num_plies": 10, "first_player_return": 1.0, "score": None, "moves": [0]}
    return Episode(columns, {**info, "restart_ply": 0})

def learner(ranks, stop, poll, *overrides, stack):
    learner_module.start_actors = lambda *_: (Actors(poll), Channel())
    settings = compose_settings([*SETTINGS, "run_name=x", f"runs_dir={folder}", *overrides])
    run_dir = folder / settings.run_name
    state = RunState(settings.learner, ranks, stop)
    outlets = Outlets(run_dir, RunRecord(run_dir, ranks), Progress(enabled=False))
    return build_learner(settings, settings_to_dict(settings), state, outlets, stack)

def count_votes(ranks):
    votes, vote = [], type(ranks).vote
    def counted(self, flags, counts, limit=0):
        agreed = vote(self, flags, counts, limit)
        votes.append(agreed.limit)
        return agreed
    type(ranks).vote = counted
    return votes

def equal_everywhere(ranks, trained):
    # A checksum of all parameters.
    weights = trained.parts.updater.released_weights()
    sums = ranks.gather(sum(float(value.double().sum()) for value in weights.values()))
    return len(set(sums)) == 1
"""
SETTINGS = [
    *("game=tic_tac_toe", "network.blocks=1", "network.channels=4", "device=cpu"),
    *("learner.precision=float32", "learner.batch_size=8", "replay.capacity=20000"),
    *("replay.min_samples=10", "arena.num_workers=0", "learner.steps_per_epoch=100000"),
]


def program(text: str) -> str:
    return f"SETTINGS = {SETTINGS!r}\n{PRELUDE}{text}"


def test_updates_until_the_next_meeting_take_a_fifth_of_a_second() -> None:
    pace = Pace()
    assert pace.num_updates == 1
    for _ in range(20):
        pace.note(pace.num_updates, 0.001 * pace.num_updates)
    assert pace.num_updates == 200
    pace.note(200, 20.0)
    assert pace.num_updates == 2
    pace.note(2, 2.0)
    assert pace.num_updates == 1, "however long one takes"


def test_a_single_fast_update_does_not_grant_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "_SECONDS_BETWEEN_MEETINGS", 10.0)
    pace = Pace()
    pace.note(1, 0.0)
    assert pace.num_updates == 2


SIGNAL = """
pace._SECONDS_BETWEEN_MEETINGS = 10.0
with ExitStack() as stack, join_ranks("cpu", 60.0) as ranks:
    stop, polls = StopSignal(), []
    def poll(seconds):
        polls.append(seconds)
        return [episode(trained.parts.buffer.spec)]
    trained = learner(ranks, stop, poll, "replay.samples_per_insert=1", stack=stack)
    update, made = Learner.update, []
    def signalled(self):
        update(self)
        made.append(self.num_granted)
        # Inside a grant: at its third update or before.
        if ranks.rank == 1 and self.num_granted >= 6 and made[-3:] != 3 * made[-1:]:
            stop.set("SIGTERM")
            signalled_at.append(len(made))
    signalled_at = []
    Learner.update = signalled
    reason = trained.run()
    answer = {"reason": reason, "updates": len(made), "granted": made[-1]}
    answer["polls"], answer["at"] = len(polls), signalled_at[:1]
    answer["equal"] = equal_everywhere(ranks, trained)
    answer["saved"] = trained.checkpointing.newest
say(**answer)
"""


@pytest.mark.slow
def test_a_signal_at_one_rank_ends_the_run_of_all_after_the_granted_updates(tmp_path) -> None:
    first, second = run_ranks(tmp_path, program(SIGNAL), 2)
    assert first["reason"] == second["reason"]
    assert first["reason"].startswith("signal SIGTERM")
    assert first["updates"] == second["updates"]
    assert first["granted"] == second["granted"] >= 6
    assert second["at"][0] + 3 < second["updates"] <= second["at"][0] + second["granted"]
    assert first["polls"] > 0.5 * first["updates"], "episodes are taken in between updates"
    assert first["equal"] and first["saved"] == second["saved"] != ""


STARVING = """
pace._SECONDS_BETWEEN_MEETINGS = 0.3
with ExitStack() as stack, join_ranks("cpu", 60.0) as ranks:
    stop, waits = StopSignal(), []
    def poll(seconds):
        waits.append(seconds)
        has_some = ranks.rank == 0 or len(waits) % 3 == 1
        if seconds:
            time.sleep(0.02)
        return [episode(trained.parts.buffer.spec)] if has_some else []
    # An episode for each update.
    trained = learner(ranks, stop, poll, "replay.samples_per_insert=0.8", stack=stack)
    votes = count_votes(ranks)
    buffer, update, made, steps = trained.parts.buffer, Learner.update, [], []
    sample = buffer.sample
    def checked(batch_size):
        # A grant never makes a rank use more samples than its balance allows.
        steps.append(trained.intake.allowed_steps())
        return sample(batch_size)
    def counted(self):
        update(self)
        made.append(len(steps))
        if len(made) == 60:
            stop.set("SIGTERM")
    buffer.sample, Learner.update = checked, counted
    trained.run()
    answer = {"steps": min(steps), "updates": len(made), "waited": sum(s > 0 for s in waits)}
    answer["batches"] = len(steps)
    answer["votes"], answer["zeros"] = len(votes), votes.count(0)
    answer["sampled"], answer["inserted"] = buffer.num_sampled, buffer.num_inserted
    answer["equal"] = equal_everywhere(ranks, trained)
say(**answer)
"""


@pytest.mark.slow
def test_a_rank_without_samples_holds_the_others_and_none_exceeds_its_balance(tmp_path) -> None:
    first, second = run_ranks(tmp_path, program(STARVING), 2)
    for rank in (first, second):
        assert rank["batches"] == rank["updates"] >= 60
    assert first["updates"] == second["updates"]
    assert min(first["steps"], second["steps"]) >= 1
    assert second["waited"] > 5 and first["waited"] <= 3, "only the one without samples waits"
    assert second["zeros"] > 5
    assert first["equal"]


LIMITS = """
pace._SECONDS_BETWEEN_MEETINGS = 10.0
with ExitStack() as stack, join_ranks("cpu", 60.0) as ranks:
    def poll(seconds):
        return [episode(trained.parts.buffer.spec)] * 3
    votes, published, publish = count_votes(ranks), [], Learner.publish
    def noted(self):
        published.append(self.state.counters.learner_step)
        publish(self)
    Learner.publish = noted
    answers = []
    for name, limit in enumerate(LIMITS):
        common = [f"run_name=x{name}", "learner.publish_interval_steps=7"]
        votes.clear()
        published.clear()
        trained = learner(ranks, StopSignal(), poll, *common, *limit, stack=stack)
        reason, counters = trained.run(), trained.state.counters
        answer = {"reason": reason, "steps": counters.learner_step, "votes": len(votes)}
        answer["published"], answer["counters"] = published[:], vars(counters)
        answers.append(answer)
say(answers=answers)
"""


@pytest.mark.slow
def test_limits_are_met_exactly_and_weights_are_published_on_time(tmp_path) -> None:
    limits = (
        ("learner.max_epochs=2", "learner.steps_per_epoch=45"),
        ("learner.max_episodes=40",),
        ("learner.max_samples=300",),
    )
    for said in run_ranks(tmp_path, program(f"LIMITS = {limits!r}\n{LIMITS}"), 2):
        for limit, answer in zip(limits, said["answers"], strict=True):
            assert answer["reason"].startswith(f"{limit[0]} is reached")
            assert answer["published"] == list(range(0, answer["steps"] + 1, 7))
        epochs, episodes, samples = said["answers"]
        assert epochs["steps"] == 90 and epochs["votes"] < 50, "not one for each update"
        assert episodes["counters"]["episodes"] == 40
        assert samples["counters"]["samples"] == 300


ROUNDS = """
pace._SECONDS_BETWEEN_MEETINGS = SECONDS
with ExitStack() as stack, join_ranks("cpu", 60.0) as ranks:
    rounds = ["learner.schedule=rounds", "learner.steps_per_round=30", "learner.max_epochs=3"]
    trained = learner(ranks, StopSignal(), None, *rounds, stack=stack)
    votes = count_votes(ranks)
    spec = trained.parts.buffer.spec
    pool = trained.pool
    pool.start_round = lambda **_: None
    pool.wait_for_round = lambda seconds: True
    pool.collect_round = lambda: [episode(spec)] * 5
    trained.run()
    weights = trained.parts.updater.released_weights()
    answer = {name: value.flatten().tolist() for name, value in weights.items()}
    answer["num_votes"] = len(votes)
say(**answer)
"""


@pytest.mark.slow
def test_rounds_learn_the_same_however_often_their_ranks_meet(tmp_path) -> None:
    answers = []
    for seconds in (0.0, 10.0):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        answers.append(run_ranks(folder, program(f"SECONDS = {seconds}\n{ROUNDS}"), 2))
    (often, _), (seldom, other) = answers
    assert seldom.pop("num_votes") < 0.5 * often.pop("num_votes")
    other.pop("num_votes")
    assert often == seldom == other
