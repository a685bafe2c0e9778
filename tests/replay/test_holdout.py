"""Which episodes are held out."""

from __future__ import annotations

import numpy as np

from ddpzero.replay import Episode, is_held_out


def episode(number: int, version: int = 0) -> Episode:
    columns = {
        "observation": np.random.default_rng(number).integers(0, 256, (9, 5), dtype=np.uint8),
        "weights_version": np.full(9, version, np.int32),
    }
    return Episode(columns)


def test_the_share_of_the_episodes_that_are_held_out_is_as_asked():
    num_held_out = sum(is_held_out(episode(number), 0.05) for number in range(4000))
    # 200 are expected: four standard deviations.
    assert abs(num_held_out - 200) < 4 * np.sqrt(200)


def test_an_episode_is_always_judged_alike_and_a_larger_share_includes_a_smaller_one():
    small, large = (
        [number for number in range(1000) if is_held_out(episode(number), fraction)]
        for fraction in (0.05, 0.3)
    )
    assert small == [number for number in range(1000) if is_held_out(episode(number), 0.05)]
    assert set(small) < set(large)


def test_without_a_share_none_is_held_out_and_with_all_of_it_all_are():
    assert not any(is_held_out(episode(number), 0.0) for number in range(100))
    assert all(is_held_out(episode(number), 1.0) for number in range(100))


def test_a_line_that_is_played_again_with_other_weights_is_chosen_anew():
    chosen = {is_held_out(episode(1, version), 0.5) for version in range(50)}
    assert chosen == {False, True}
