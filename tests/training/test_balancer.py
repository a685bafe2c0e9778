"""Facts about the balance between actors and learner, by a simulated clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ddpzero.config.hydra import compose_settings
from ddpzero.replay import SampleBalance
from ddpzero.training.balancer import BalanceBounds, Balancer, make_balancer, work_factor

ROW_MINUTES = 10 / 60
WIDE = BalanceBounds(0.5, 4.0, 4.0, 1.0, 16.0)


@dataclass
class Machine:
    """actors_rate: samples a second with effort 1. learner_rate: samples a second that the learner trains on."""

    actors_rate: float
    learner_rate: float

    def waits(self, balancer: Balancer) -> tuple[float, float]:
        """Return the shares of waiting of the learner and of the actors."""
        made = self.actors_rate / balancer.effort
        needed = self.learner_rate / balancer.samples_per_insert
        return max(0.0, 1 - made / needed), max(0.0, 1 - needed / made)


def run(balancer: Balancer, machine: Machine, num_rows: int = 60) -> list[tuple[float, float]]:
    """Return the shares of waiting in each row. The first row is that of the start."""
    balancer.observe(0.0, 1.0, 0.0)
    shares = []
    for row in range(1, num_rows + 1):
        shares.append(machine.waits(balancer))
        balancer.observe(row * ROW_MINUTES, *shares[-1])
    return shares


@pytest.mark.parametrize("actors_rate", [300.0, 500.0, 900.0, 1000.0, 1100.0, 1400.0, 3000.0])
def test_both_sides_wait_for_less_than_5_percent_soon_and_stay_there(actors_rate: float):
    shares = run(Balancer(WIDE), Machine(actors_rate, learner_rate=4000.0))
    assert all(max(pair) < 0.05 for pair in shares[12:])


def test_actors_that_wait_for_29_percent_are_in_balance_within_a_minute():
    shares = run(Balancer(WIDE), Machine(1 / 0.71, learner_rate=4.0))
    assert all(max(pair) < 0.05 for pair in shares[5:])


@pytest.mark.parametrize("actors_rate", [300.0, 900.0, 1400.0, 3000.0])
def test_the_work_comes_to_rest_from_one_side(actors_rate: float):
    balancer, machine = Balancer(WIDE), Machine(actors_rate, learner_rate=4000.0)
    balancer.observe(0.0, 0.0, 0.0)
    works = [1.0]
    for row in range(1, 60):
        balancer.observe(row * ROW_MINUTES, *machine.waits(balancer))
        works.append(balancer.work)
    assert works in (sorted(works), sorted(works, reverse=True))
    assert len(set(works[-30:])) == 1


@pytest.mark.parametrize("actors_rate", [1050.0, 1200.0, 1400.0])
def test_waits_that_actors_report_late_do_not_make_the_work_oscillate(actors_rate: float):
    """An actor counts a wait at its end: here in every third row."""
    balancer, machine = Balancer(WIDE), Machine(actors_rate, learner_rate=4000.0)
    balancer.observe(0.0, 0.0, 0.0)
    unreported, works = 0.0, []
    for row in range(1, 60):
        learner_share, actors_share = machine.waits(balancer)
        unreported += actors_share
        reported = min(unreported, 1.0) if row % 3 == 0 else 0.0
        unreported -= reported
        balancer.observe(row * ROW_MINUTES, learner_share, reported)
        works.append(balancer.work)
    assert len(set(works[-40:])) == 1
    assert max(machine.waits(balancer)) < 0.05


def test_waiting_on_both_sides_alike_changes_nothing():
    """Episodes that arrive in bursts."""
    assert work_factor(0.2, 0.21) == 1.0
    assert work_factor(0.02, 0.04) == 1.0


def test_the_work_stays_within_its_bounds_and_each_bound_is_told_once():
    balancer = Balancer(BalanceBounds(1.0, 1.3, 4.0, 4.0, 4.0))
    balancer.observe(0.0, 0.0, 0.0)
    told = [balancer.observe(row * ROW_MINUTES, 0.0, 0.5) for row in range(1, 20)]
    assert balancer.effort == 1.3
    assert [message for message in told if message] == [
        "actors wait 50 % of their time, and the bounds allow no more work (effort 1.30, samples_per_insert "
        "4.00): raise actors.max_effort or lower replay.min_samples_per_insert"
    ]
    for row in range(20, 40):
        balancer.observe(row * ROW_MINUTES, 0.5, 0.0)
    assert (balancer.effort, balancer.samples_per_insert) == (1.0, 4.0)


def test_more_work_is_first_more_effort_and_less_work_first_more_uses_of_a_sample():
    assert WIDE.levers(2.0) == (2.0, 4.0)
    assert WIDE.levers(8.0) == (4.0, 2.0)
    assert WIDE.levers(0.5) == (1.0, 8.0)
    assert WIDE.levers(0.125) == (0.5, 16.0)


def test_a_resumed_balancer_goes_on_with_its_work():
    balancer = Balancer(WIDE)
    run(balancer, Machine(3000.0, learner_rate=4000.0))
    assert Balancer(WIDE, balancer.work).effort == balancer.effort > 2
    assert Balancer(BalanceBounds(1.0, 1.5, 4.0, 4.0, 4.0), balancer.work).effort == 1.5


def test_short_rows_are_added_up():
    balancer = Balancer(WIDE)
    balancer.observe(0.0, 0.0, 0.0)
    for second in range(1, 5):
        balancer.observe(second / 60, 0.0, 0.5)
    assert balancer.work == 1.0
    balancer.observe(6 / 60, 0.0, 0.5)
    assert balancer.work > 1.1


def test_rows_before_the_first_updates_and_episodes_do_not_count():
    balancer = Balancer(WIDE)
    shares = {"learner/share_waiting": 0.9, "self_play/share_waiting": 0.0}
    for row in range(20):
        balancer.observe_row(row * ROW_MINUTES, shares)
    at_work = {"speed/updates_per_second": 5.0, "speed/episodes_per_second": 5.0}
    balancer.observe_row(20 * ROW_MINUTES, shares | at_work)
    assert balancer.work == 1.0
    balancer.observe_row(21 * ROW_MINUTES, shares | at_work)
    assert balancer.work < 1.0


def test_a_run_without_bounds_or_in_rounds_has_no_balancer():
    assert make_balancer(compose_settings(["device=cpu"]), 1.0) is None
    rounds = ["device=cpu", "learner.schedule=rounds", "actors.max_effort=2"]
    assert make_balancer(compose_settings(rounds), 1.0) is None


# ------------------------------------------------------------------ the balance of samples


def test_a_new_ratio_counts_for_later_samples_only():
    balance = SampleBalance(4.0, min_samples=1000, batch_size=100)
    changed = balance.with_samples_per_insert(8.0, num_inserted=50_000)
    for num_sampled in (195_000, 196_000):
        assert changed.allowed_steps(50_000, num_sampled) == pytest.approx(
            balance.allowed_steps(50_000, num_sampled), abs=1
        )
    before = changed.allowed_steps(50_000, 196_000)
    assert changed.allowed_steps(50_100, 196_000) - before == 8 * 100 // 100


def test_one_side_may_go_on_after_any_change_of_the_ratio():
    balance = SampleBalance(4.0, min_samples=100, batch_size=32)
    for ratio, inserted in ((8.0, 5_000), (1.0, 7_000), (3.3, 9_000)):
        balance = balance.with_samples_per_insert(ratio, inserted)
        for sampled in range(0, 60_000, 997):
            assert balance.allowed_steps(inserted, sampled) or balance.allowed_inserts(
                inserted, sampled
            )


def test_a_resumed_run_is_in_balance():
    balance = SampleBalance(4.0, 1000, 100).balanced_at(6.0, num_inserted=9_000, num_sampled=70_000)
    assert balance.allowed_steps(9_000, 70_000) == 8
    assert balance.allowed_inserts(9_000, 70_000) > 0
