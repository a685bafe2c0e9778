"""The optimizer step of AlphaZero: alone, and under two gloo ranks started by torchrun."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ddpzero.algorithms.alphazero.curriculum import Curriculum, CurriculumSettings
from ddpzero.algorithms.alphazero.losses import soft_policy_target, win_draw_loss
from ddpzero.algorithms.alphazero.samples import sample_spec
from ddpzero.algorithms.alphazero.settings import AlphaZeroSettings, LossSettings
from ddpzero.algorithms.alphazero.updater import AlphaZeroUpdater
from ddpzero.algorithms.base import RunProgress
from ddpzero.games import Game, load_game
from ddpzero.networks import NetworkSettings, make_network
from ddpzero.networks.settings import GrowthSettings
from ddpzero.run.divergence import state_tensors
from ddpzero.settings import LearnerSettings

NETWORK = NetworkSettings(blocks=2, channels=16)
ALL_LOSSES = LossSettings()
DEFAULTS = AlphaZeroSettings()
LEARNER = LearnerSettings(batch_size=64, precision="float32")


def random_batch(
    game: Game, num_rows: int, seed: int, auxiliary: tuple[str, ...] = ()
) -> dict[str, torch.Tensor]:
    """Samples that look like self-play's: any packed planes, policies that sum to 1, outcomes -1, 0, 1."""
    generator = np.random.default_rng(seed)
    policy = generator.dirichlet(np.ones(game.num_actions), num_rows)
    columns = {
        "observation": generator.integers(
            0, 256, (num_rows, game.observation_size_bytes), dtype=np.uint8
        ),
        "policy_target": policy.astype(np.float16),
        "outcome": generator.integers(-1, 2, num_rows).astype(np.float32),
        "outcome_draw": generator.uniform(0, 0.5, num_rows).astype(np.float32),
        "root_value": generator.uniform(-1, 1, num_rows).astype(np.float32),
        "root_draw": generator.uniform(0, 0.5, num_rows).astype(np.float32),
        "weights_version": np.zeros(num_rows, np.int32),
    }
    if "score" in auxiliary:
        most = game.spec.max_score
        columns["score"] = generator.integers(-most, most + 1, num_rows).astype(np.float32)
    if "ownership" in auxiliary:
        owners = generator.integers(-1, 2, (num_rows, game.num_cells))
        columns["ownership"] = owners.astype(np.int8)
    if "score" in auxiliary or "ownership" in auxiliary:
        columns["is_played_out"] = np.ones(num_rows, np.bool_)
    if "short_value" in auxiliary:
        values = generator.uniform(-1, 1, (num_rows, 3)).astype(np.float32)
        columns["short_value"], columns["short_draw"] = values, 1 - np.abs(values)
    if "next_policy" in auxiliary:
        columns["next_policy_target"] = columns["policy_target"][::-1].copy()
    assert set(columns) == set(sample_spec(game, auxiliary))
    return {name: torch.from_numpy(column) for name, column in columns.items()}


def make_updater(
    game: Game,
    wrap=lambda module: module,
    augment: bool = False,
    loss: LossSettings = ALL_LOSSES,
    settings: AlphaZeroSettings = DEFAULTS,
    learner: LearnerSettings = LEARNER,
) -> AlphaZeroUpdater:
    torch.manual_seed(7)
    return AlphaZeroUpdater(
        Curriculum(CurriculumSettings(), game, num_simulations=1),
        make_network(game, NETWORK, loss.auxiliary(game)),
        wrap,
        settings,
        loss,
        learner,
        torch.device("cpu"),
        seed=0,
        augment=augment,
    )


def test_repeated_updates_fit_a_batch():
    game = load_game("connect_four")
    updater = make_updater(game)
    batch = random_batch(game, 64, seed=1)
    first = updater.update(batch, 3e-3)["losses/total"]
    for _ in range(60):
        last = updater.update(batch, 3e-3)["losses/total"]
    assert last < 0.8 * first


def test_a_restored_updater_continues_bit_by_bit():
    game = load_game("connect_four")
    batches = [random_batch(game, 64, seed) for seed in range(6)]
    straight = make_updater(game, augment=True)
    for batch in batches:
        straight.update(batch, 1e-3)
    first_half = make_updater(game, augment=True)
    for batch in batches[:3]:
        first_half.update(batch, 1e-3)
    second_half = make_updater(game, augment=True)
    second_half.load_state(first_half.state())
    for batch in batches[3:]:
        second_half.update(batch, 1e-3)
    for name, value in straight.actor_weights().items():
        assert torch.equal(value, second_half.actor_weights()[name]), name


def growing_updater(game: Game, wrap=lambda module: module) -> AlphaZeroUpdater:
    """It grows after 2 updates."""
    growth = (GrowthSettings(blocks=3, channels=24, after_step=2),)
    torch.manual_seed(7)
    return AlphaZeroUpdater(
        Curriculum(CurriculumSettings(), game, num_simulations=1),
        make_network(game, NETWORK),
        wrap,
        AlphaZeroSettings(),
        LossSettings(score=0, ownership=0),
        LEARNER,
        torch.device("cpu"),
        seed=0,
        size=replace(NETWORK, growth=growth),
    )


def grown(updater: AlphaZeroUpdater) -> AlphaZeroUpdater:
    sentence = updater.grow(RunProgress(2, 0.0, 0.0), seed=5)
    assert sentence.startswith("the network grew from 2x16 to 3x24: outputs ")
    return updater


def test_an_updater_grows_when_it_is_due_and_keeps_its_loss():
    game = load_game("connect_four")
    updater, small = growing_updater(game), growing_updater(game)
    batch = random_batch(game, 64, seed=9)
    for seed in range(2):
        for one in (updater, small):
            one.update(random_batch(game, 64, seed), 1e-3)
    assert updater.grow(RunProgress(1, 99.0, 1.0), seed=5) == ""
    assert updater.size_tag() == "b2c16"
    grown(updater)
    assert updater.size_tag() == "b3c24"
    assert updater.grow(RunProgress(3, 0.0, 0.0), seed=5) == ""
    possible = [
        {name: value.shape for name, value in weights.items()}
        for weights in updater.possible_actor_weights()
    ]
    for one, shapes in ((small, possible[0]), (updater, possible[1])):
        assert {name: value.shape for name, value in one.actor_weights().items()} == shapes
    losses = [one.update(batch, 1e-3)["losses/total"] for one in (updater, small)]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-5)
    for _ in range(30):
        last = updater.update(batch, 3e-3)["losses/total"]
    assert last < losses[0]


def test_a_grown_updater_resumes_bit_by_bit_before_and_after_its_growth():
    game = load_game("connect_four")
    batches = [random_batch(game, 64, seed) for seed in range(5)]
    straight, states = growing_updater(game), []
    for step, batch in enumerate(batches):
        if step == 2:
            grown(straight)
        weights = straight.released_weights()
        states.append(copy.deepcopy((weights, straight.state())))
        straight.update(batch, 1e-3)
    expected = state_tensors(straight.state())
    for step in (1, 3):
        resumed = growing_updater(game)
        # A newer checkpoint, of the other size, turned out to be damaged.
        resumed.take_size_of(states[4 - step][0])
        resumed.take_size_of(states[step][0])
        assert resumed.load_state(states[step][1]) == []
        for later, batch in enumerate(batches[step:], step):
            if later == 2:
                grown(resumed)
            resumed.update(batch, 1e-3)
        tensors = state_tensors(resumed.state())
        assert tensors.keys() == expected.keys()
        assert all(torch.equal(tensors[name], value) for name, value in expected.items())


def test_a_new_run_starts_from_released_weights_in_network_and_average():
    game = load_game("connect_four")
    other = make_updater(game)
    for seed in range(3):
        other.update(random_batch(game, 64, seed), 1e-3)
    updater = make_updater(game)
    updater.start_from(other.released_weights())
    for weights in (updater.released_weights(), updater.state()["network"]):
        for name, value in other.released_weights().items():
            assert torch.equal(weights[name], value), name


ALL_HEADS = LossSettings(next_policy=0.3, soft_policy=1.0, short_value=0.3)
FOR_ANY_GAME = ("next_policy", "soft_policy", "short_value")


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("connect_four", FOR_ANY_GAME),
        ("dots_and_boxes", ("score", "ownership", *FOR_ANY_GAME)),
        ("go", ("score", "ownership", *FOR_ANY_GAME)),
        ("hex", FOR_ANY_GAME),
        ("othello", ("score", "ownership", *FOR_ANY_GAME)),
    ],
)
def test_a_game_learns_what_it_has(name, heads):
    game = load_game(name)
    assert ALL_HEADS.auxiliary(game) == heads
    assert LossSettings(score=0, ownership=0).auxiliary(game) == ()
    updater = make_updater(game, augment=True, loss=ALL_HEADS)
    scalars = updater.update(random_batch(game, 64, seed=1, auxiliary=heads), 1e-3)
    for head in ("score", "ownership", *FOR_ANY_GAME):
        assert (f"losses/{head}" in scalars) == (head in heads)
    assert all(torch.isfinite(value) for value in scalars.values())


def entropy(distributions: torch.Tensor) -> float:
    return float(-(distributions * distributions.clamp_min(1e-9).log()).sum(-1).mean())


@pytest.mark.parametrize("head", ["score", "ownership", *FOR_ANY_GAME])
def test_each_head_fits_its_own_target(head):
    game = load_game("dots_and_boxes", rows=2, columns=2)
    updater = make_updater(game, loss=ALL_HEADS)
    batch = random_batch(game, 16, seed=2, auxiliary=ALL_HEADS.auxiliary(game))
    first = updater.update(batch, 3e-3)[f"losses/{head}"]
    for _ in range(150):
        last = updater.update(batch, 3e-3)[f"losses/{head}"]
    least = 0.0
    # These targets are distributions: no loss is below their entropy.
    if head == "next_policy":
        least = entropy(batch["next_policy_target"].float())
    if head == "soft_policy":
        least = entropy(soft_policy_target(batch["policy_target"].float()))
    if head == "short_value":
        least = entropy(win_draw_loss(batch["short_value"], batch["short_draw"]))
    assert last - least < 0.75 * (first - least)


def test_a_surprise_counts_more_in_the_policys_losses_and_nowhere_else():
    game = load_game("connect_four")
    loss = LossSettings(soft_policy=1.0)
    half_surprise = AlphaZeroSettings(surprise_weight=0.5)
    batch = random_batch(game, 2, seed=3, auxiliary=("soft_policy",))
    # Weights of 1/2 and 3/2.
    batch["surprise"] = torch.tensor([0.0, 2.0])
    losses = [
        make_updater(game, loss=loss).update({n: v[row : row + 1] for n, v in batch.items()}, 1e-3)
        for row in range(2)
    ]
    scalars = make_updater(game, loss=loss, settings=half_surprise).update(batch, 1e-3)
    policy, soft, value = (
        [float(one[f"losses/{name}"]) for one in losses]
        for name in ("policy", "soft_policy", "value")
    )
    assert float(scalars["losses/policy"]) == pytest.approx(sum(policy) / 2, rel=1e-5)
    assert float(scalars["losses/value"]) == pytest.approx(sum(value) / 2, rel=1e-5)
    weighted_soft = (0.5 * soft[0] + 1.5 * soft[1]) / 2
    assert float(scalars["losses/soft_policy"]) == pytest.approx(weighted_soft, rel=1e-5)
    weighted = (0.5 * policy[0] + 1.5 * policy[1]) / 2
    expected = weighted + weighted_soft + sum(value) / 2
    assert float(scalars["losses/total"]) == pytest.approx(expected, rel=1e-5)


def test_games_whose_end_is_not_known_teach_no_score_and_no_owners():
    game = load_game("othello", size=4)
    batch = random_batch(game, 8, seed=3, auxiliary=("score", "ownership"))
    batch["is_played_out"][::2] = False
    others = {name: column.clone() for name, column in batch.items()}
    others["score"][::2] = 0
    others["ownership"][::2] = 1
    for name in ("losses/score", "losses/ownership", "score/mean_error"):
        expected, got = (make_updater(game).update(b, 1e-3)[name] for b in (batch, others))
        assert expected == got, name
    batch["is_played_out"][:] = False
    assert make_updater(game).update(batch, 1e-3)["losses/score"] == 0


def test_the_score_that_the_search_expects_is_learned_beside_the_final_one():
    """Half and half; between two numbers of points both are learned, and a game without an end teaches as well."""
    game = load_game("dots_and_boxes", rows=1, columns=2)
    batch = {
        "score": torch.tensor([2.0, -1.0]),
        # More points behind than there are boxes: as many as there are.
        "root_score": torch.tensor([0.25, -3.0]),
        "is_played_out": torch.tensor([True, False]),
    }
    target = make_updater(game)._score_target(batch, torch.zeros(2, dtype=torch.long))
    expected = torch.tensor([[0, 0, 0.375, 0.125, 0.5], [0.5, 0.5, 0, 0, 0]])
    torch.testing.assert_close(target.distribution, expected)
    assert target.is_known.tolist() == [1.0, 1.0]


def run_on_two_ranks(tmp_path: Path, body: str) -> None:
    """Run `body` under torchrun with two gloo ranks; it sees ranks, game, make_updater, random_batch, folder."""
    script = tmp_path / "ranks.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import torch
            from safetensors.torch import save_file
            from ddpzero.run.ranks import join_ranks
            from ddpzero.games import load_game
            from ddpzero.algorithms.base import RunProgress
            from test_updater import PLAIN, growing_updater, make_updater, random_batch

            torch.set_num_threads(1)
            folder = Path({str(tmp_path)!r})
            game = load_game("connect_four")
            with join_ranks("cpu", timeout_seconds=60) as ranks:
            """
        )
        + textwrap.indent(textwrap.dedent(body), "    ")
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    finished = subprocess.run(
        [*command, str(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]


# Its steps are in proportion to the gradient: Muon makes whole steps of what rounding leaves of a gradient near 0.
PLAIN = replace(LEARNER, optimizer="sgd")


def test_two_ranks_with_batch_64_make_the_update_of_one_rank_with_batch_128(tmp_path):
    run_on_two_ranks(
        tmp_path,
        """
        updater = make_updater(game, ranks.wrap, learner=PLAIN)
        for seed in range(3):
            batch = random_batch(game, 128, seed)
            mine = slice(64 * ranks.rank, 64 * ranks.rank + 64)
            updater.update({name: column[mine] for name, column in batch.items()}, 0.1)
        if ranks.is_first:
            state = updater.state()["network"]
            save_file({k: v.contiguous() for k, v in state.items()}, folder / "two.safetensors")
        """,
    )
    game = load_game("connect_four")
    updater = make_updater(game, learner=PLAIN)
    for seed in range(3):
        updater.update(random_batch(game, 128, seed), 0.1)
    for name, value in load_file(tmp_path / "two.safetensors").items():
        torch.testing.assert_close(value, updater.state()["network"][name], rtol=0, atol=1e-6)


def test_ranks_hold_equal_weights_after_updates_from_unequal_data(tmp_path):
    run_on_two_ranks(
        tmp_path,
        """
        from ddpzero.algorithms.alphazero.samples import sample_spec
        from ddpzero.training.batches import BatchFeeder
        from ddpzero.replay import ReplayBuffer

        torch.manual_seed(100 + ranks.rank)
        buffer = ReplayBuffer(sample_spec(game), 5000, seed=ranks.rank)
        columns = random_batch(game, 300 if ranks.is_first else 4000, seed=ranks.rank)
        buffer.add({name: column.numpy() for name, column in columns.items()})
        updater = growing_updater(game, ranks.wrap)
        feeder = BatchFeeder(buffer, 64, torch.device("cpu"))
        for step in range(100):
            updater.update(feeder.take(), 2e-3)
            if step == 50:
                assert updater.grow(RunProgress(50, 0.0, 0.0), seed=3)
        state = {**updater.actor_weights(), **{"n." + k: v for k, v in updater.state()["network"].items()}}
        save_file({k: v.contiguous() for k, v in state.items()}, folder / f"{ranks.rank}.safetensors")
        """,
    )
    first = load_file(tmp_path / "0.safetensors")
    second = load_file(tmp_path / "1.safetensors")
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_mixed_precision_learns_on_a_gpu():
    game = load_game("connect_four")
    torch.manual_seed(7)
    updater = AlphaZeroUpdater(
        Curriculum(CurriculumSettings(), game, num_simulations=1),
        make_network(game, NETWORK),
        lambda module: module,
        AlphaZeroSettings(),
        LossSettings(),
        LearnerSettings(batch_size=64),
        torch.device("cuda"),
        seed=0,
    )
    batch = {name: column.cuda() for name, column in random_batch(game, 64, seed=1).items()}
    first = float(updater.update(batch, 3e-3)["losses/total"])
    for _ in range(60):
        last = float(updater.update(batch, 3e-3)["losses/total"])
    assert last < first


def spoil(updater: AlphaZeroUpdater, scale: float, parts: tuple[str, ...] = ("network", "ema")):
    """Multiply all weights."""
    state = updater.state()
    for part in parts:
        state[part] = {name: scale * value for name, value in state[part].items()}
    updater.load_state(state)


def test_sound_weights_are_trainable_and_a_trial_changes_nothing():
    game = load_game("connect_four")
    tried, straight = make_updater(game, augment=True), make_updater(game, augment=True)
    for seed in range(3):
        batch = random_batch(game, 64, seed)
        tried.update(batch, 1e-3)
        straight.update(batch, 1e-3)
        assert tried.is_trainable(batch)
    for name, value in straight.actor_weights().items():
        assert torch.equal(value, tried.actor_weights()[name]), name


@pytest.mark.parametrize("scale", [math.nan, 1e30, 1e3])
def test_weights_beyond_use_are_not_trainable_though_they_may_be_finite(scale):
    game = load_game("connect_four")
    batch = random_batch(game, 64, seed=0)
    updater = make_updater(game)
    spoil(updater, scale)
    assert not updater.is_trainable(batch)


def test_a_moving_average_beyond_use_is_not_trainable():
    game = load_game("connect_four")
    updater = make_updater(game)
    spoil(updater, 1e30, parts=("ema",))
    assert not updater.is_trainable(random_batch(game, 64, seed=0))


def test_a_batch_that_is_not_finite_is_skipped_and_counted():
    game = load_game("connect_four")
    updater = make_updater(game)
    updater.update(random_batch(game, 64, seed=0), 1e-3)
    before = {name: value.clone() for name, value in updater.state()["network"].items()}
    bad = random_batch(game, 64, seed=1)
    bad["root_value"][3] = math.nan
    scalars = updater.update(bad, 1e-3)
    assert scalars["gradients/skipped_share"] == 1 and updater.skipped_in_a_row() == 1
    assert not updater.is_trainable(bad)
    for name, value in updater.state()["network"].items():
        assert torch.equal(value, before[name]), name
    assert all(bool(value.isfinite().all()) for value in updater.released_weights().values())
    updater.update(random_batch(game, 64, seed=2), 1e-3)
    assert updater.skipped_in_a_row() == 0


def test_held_out_samples_are_evaluated_with_the_trained_weights_and_change_nothing():
    game = load_game("connect_four")
    updater = make_updater(game)
    batch = random_batch(game, 64, seed=1)
    before = {name: value.clone() for name, value in updater.state()["network"].items()}
    held_out = updater.evaluate(batch)
    assert all(
        torch.equal(value, before[name]) for name, value in updater.state()["network"].items()
    )
    # The loss before the step, with the same weights on the same batch.
    trained = updater.update(batch, 3e-3)
    for name in ("total", "policy", "value"):
        assert float(held_out[f"holdout/{name}_loss"]) == pytest.approx(
            float(trained[f"losses/{name}"]), rel=1e-5
        )
    assert held_out["holdout/value_accuracy"] == trained["value/accuracy"]
    for _ in range(30):
        updater.update(batch, 3e-3)
    # The average lags behind: the weights in training count.
    assert updater.evaluate(batch)["holdout/total_loss"] < 0.9 * held_out["holdout/total_loss"]
