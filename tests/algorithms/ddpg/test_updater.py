"""The update of DDPG's actor and critic: alone, and under two gloo ranks started by torchrun."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ddpzero.algorithms.ddpg.networks import as_input
from ddpzero.algorithms.ddpg.settings import DDPGSettings, OpponentSettings
from ddpzero.run.divergence import state_tensors, weights_problem
from ddpzero.settings import LearnerSettings
from tests.algorithms.ddpg.harness import (
    NUM_ACTIONS,
    edit_state,
    make_updater,
    networks_of,
    random_batch,
    restless,
    small_snakes,
)
from tests.torchrun import run_ranks
from tests.training.whole_runs import assert_equal

GAME = small_snakes()
ONE_HOTS = torch.eye(NUM_ACTIONS)
# What can differ in the shape of a batch.
KINDS = {
    "features": DDPGSettings(policy_delay=1),
    "planes": DDPGSettings(policy_delay=1, observation="planes"),
    "centralized": DDPGSettings(policy_delay=1, centralized_critic=True),
    "centralized planes": DDPGSettings(
        policy_delay=1, centralized_critic=True, observation="planes"
    ),
    "one critic": DDPGSettings(policy_delay=1, twin_critics=False),
}


def copies(networks: dict[str, nn.Module]) -> dict[str, nn.Module]:
    return {name: copy.deepcopy(network) for name, network in networks.items()}


def is_changed(network: nn.Module, before: nn.Module) -> bool:
    """Whether every parameter is another one; in part is a mistake."""
    pairs = list(zip(network.parameters(), before.parameters(), strict=True))
    changed = [not torch.equal(now, then) for now, then in pairs]
    assert all(changed) or not any(changed)
    return all(changed)


# ------------------------------------------------------------------------ learning


def two_armed_batch(settings: DDPGSettings, seed: int) -> dict[str, Tensor]:
    """Where the first number is 1, choice 0 is paid, where it is -1, choice 2; nothing follows."""
    batch = random_batch(GAME, settings, 64, seed)
    sign = torch.tensor([1.0, -1.0]).repeat(32)
    batch["observation"].zero_()
    batch["observation"][:, 0] = sign
    batch["legal"].fill_(True)
    batch["discount"].zero_()
    batch["reward"] = (batch["choice"] == torch.where(sign > 0, 0, 2)).float()
    return batch


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "softmax"])
def test_every_estimator_finds_the_choice_that_is_paid(estimator: str):
    settings = DDPGSettings(estimator=estimator, policy_delay=1)
    networks = networks_of(GAME, settings)
    updater = make_updater(GAME, settings, networks)
    for seed in range(150):
        updater.update(two_armed_batch(settings, seed), 1e-2)
    logits = networks["actor"](as_input(two_armed_batch(settings, 0)["observation"][:2]))
    first, second = functional.softmax(logits, dim=1)
    assert first[0] > 0.9 and second[2] > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_updates_fit_a_batch(kind: str):
    settings = KINDS[kind]
    updater = make_updater(GAME, settings)
    batch = random_batch(GAME, settings, 32, seed=1)
    batch["discount"].zero_()
    held_out = updater.evaluate(batch)
    first = updater.update(batch, 3e-3)["losses/critic"]
    torch.testing.assert_close(held_out, {"holdout/critic_loss": first})
    for _ in range(60):
        last = updater.update(batch, 3e-3)["losses/critic"]
    assert last < 0.5 * first


# ------------------------------------------------------------------------- the critic


def target_networks(updater: Any, settings: DDPGSettings) -> tuple[nn.Module, nn.Module]:
    """Actor and critic as the updater's targets are now."""
    networks = networks_of(GAME, settings)
    for name, network in networks.items():
        network.load_state_dict(updater.state()[f"target_{name}"])
    return networks["actor"], networks["critic"]


def next_context(actor: nn.Module, batch: dict[str, Tensor]) -> Tensor | None:
    """What the mates see after the steps and what the actor makes them do, one after the other."""
    if "mates_next_observation" not in batch:
        return None
    seen, legal = as_input(batch["mates_next_observation"]), batch["mates_next_legal"]
    rows = []
    for row in range(len(seen)):
        logits = actor(seen[row]).masked_fill(~legal[row], -torch.inf)
        rows.append(torch.cat([seen[row].flatten(), ONE_HOTS[logits.argmax(dim=1)].flatten()]))
    return torch.stack(rows)


@torch.no_grad()
def next_values(updater: Any, settings: DDPGSettings, batch: dict[str, Tensor]) -> Tensor:
    """`[B, A + 1]`: the smaller of the twin targets for each action, and for the target policy as an action."""
    actor, critic = target_networks(updater, settings)
    seen = as_input(batch["next_observation"])
    policy = next_policy(updater, settings, batch)
    asked = torch.cat([ONE_HOTS.expand(len(seen), -1, -1), policy.unsqueeze(1)], dim=1)
    return critic(seen, next_context(actor, batch), asked).min(dim=0).values


@torch.no_grad()
def next_policy(updater: Any, settings: DDPGSettings, batch: dict[str, Tensor]) -> Tensor:
    logits = target_networks(updater, settings)[0](as_input(batch["next_observation"]))
    return functional.softmax(logits.masked_fill(~batch["next_legal"], -torch.inf), dim=1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_critic_aims_at_the_smaller_twins_value_of_what_the_target_actor_does(kind: str):
    settings = KINDS[kind]
    updater = restless(make_updater(GAME, settings))
    batch = random_batch(GAME, settings, 16, seed=2)
    values = next_values(updater, settings, batch)[:, :NUM_ACTIONS]
    action = next_policy(updater, settings, batch).argmax(dim=1, keepdim=True)
    expected = batch["reward"] + batch["discount"] * values.gather(1, action).squeeze(1)
    scalars = updater.update(batch, 1e-3)
    torch.testing.assert_close(scalars["q_values/target"], expected.mean())


def test_gumbel_has_no_noise_in_the_critics_aim():
    settings = {name: DDPGSettings(estimator=name) for name in ("exact", "gumbel")}
    batch = random_batch(GAME, settings["exact"], 16, seed=2)
    exact, gumbel = (
        restless(make_updater(GAME, settings[name])).update(batch, 1e-3)["q_values/target"]
        for name in ("exact", "gumbel")
    )
    assert exact == gumbel


def test_plain_softmax_asks_the_target_critic_about_the_policy_itself():
    settings = DDPGSettings(estimator="softmax")
    updater = restless(make_updater(GAME, settings))
    batch = random_batch(GAME, settings, 16, seed=2)
    values = next_values(updater, settings, batch)[:, NUM_ACTIONS]
    expected = (batch["reward"] + batch["discount"] * values).mean()
    torch.testing.assert_close(updater.update(batch, 1e-3)["q_values/target"], expected)


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "softmax"])
def test_no_target_counts_on_an_illegal_action(estimator: str):
    """Not even where the target networks want nothing else."""
    settings = DDPGSettings(estimator=estimator)
    updater = make_updater(GAME, settings)
    batch = random_batch(GAME, settings, 64, seed=2)

    def tempt(state: dict[str, Any]) -> None:
        state["target_actor"]["head.bias"][3] = 30.0
        for twin in range(2):
            state["target_critic"][f"actions.{twin}"][3] = 1e6

    edit_state(updater, tempt)
    assert next_values(updater, settings, batch)[:, 3].abs().min() > 1e3
    assert abs(updater.update(batch, 1e-3)["q_values/target"]) < 10


def test_nothing_follows_a_game_that_the_rules_ended():
    settings = DDPGSettings()
    batch = random_batch(GAME, settings, 16, seed=2)
    batch["discount"].zero_()
    other = batch | {"next_observation": random_batch(GAME, settings, 16, 3)["next_observation"]}
    first, second = make_updater(GAME, settings), make_updater(GAME, settings)
    scalars = first.update(batch, 1e-3)
    torch.testing.assert_close(scalars["q_values/target"], batch["reward"].mean())
    second.update(other, 1e-3)
    assert_equal(first.state(), second.state())


@pytest.mark.parametrize("kind", KINDS)
def test_both_twins_are_fitted_to_one_target(kind: str):
    settings = KINDS[kind]
    networks = networks_of(GAME, settings)
    updater = make_updater(GAME, settings, networks)
    batch = random_batch(GAME, settings, 16, seed=2)
    batch["discount"].zero_()
    seen, context = as_input(batch["observation"]), None
    if settings.centralized_critic:
        mates = as_input(batch["mates_observation"]).flatten(1)
        context = torch.cat([mates, ONE_HOTS[batch["mates_choice"].long()].flatten(1)], dim=1)
    made = ONE_HOTS[batch["choice"].long()].unsqueeze(1)
    with torch.no_grad():
        estimates = networks["critic"](seen, context, made)[..., 0]
    losses = [functional.smooth_l1_loss(estimate, batch["reward"]) for estimate in estimates]
    scalars = updater.update(batch, 1e-3)
    torch.testing.assert_close(scalars["losses/critic"], sum(losses))
    torch.testing.assert_close(scalars["q_values/mean"], estimates.mean())


# -------------------------------------------------------------------------- the actor


@pytest.mark.parametrize(
    ("entropy_weight", "logit_l2"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)], ids=str
)
def test_the_exact_gradient_is_that_of_the_expectation(entropy_weight: float, logit_l2: float):
    """Less `entropy_weight` times the policy's entropy, plus `logit_l2` times the mean square of the legal logits."""
    settings = DDPGSettings(policy_delay=1, entropy_weight=entropy_weight, logit_l2=logit_l2)
    networks = networks_of(GAME, settings)
    head = networks["actor"].get_submodule("head")
    logits = torch.tensor([0.5, -1.0, 0.3, 2.0])
    head.bias.data.copy_(logits)  # its weights are 0: these are the logits of every row
    updater = make_updater(GAME, settings, networks)
    batch = random_batch(GAME, settings, 32, seed=4)
    updater.update(batch, 1e-3)
    with torch.no_grad():  # the critic's step came first
        asked = ONE_HOTS.expand(32, -1, -1)
        values = networks["critic"](as_input(batch["observation"]), None, asked).amin(dim=0)
    legal = batch["legal"]
    policy = torch.where(legal, logits.exp(), 0.0)
    policy /= policy.sum(dim=1, keepdim=True)
    log_policy = torch.where(legal, policy, 1.0).log()
    entropy = -(policy * log_policy).sum(dim=1, keepdim=True)
    uphill = policy * (values - (policy * values).sum(dim=1, keepdim=True))
    of_entropy = -policy * (log_policy + entropy)
    of_squares = 2 * logits * legal / legal.sum(dim=1, keepdim=True)
    expected = -uphill - entropy_weight * of_entropy + logit_l2 * of_squares
    torch.testing.assert_close(head.bias.grad, expected.mean(dim=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "softmax"])
def test_the_actor_is_judged_by_what_the_estimator_asks_the_critic(estimator: str):
    """The expectation over actions, actions drawn as often as the policy makes them, or the policy as an action."""
    settings = DDPGSettings(
        estimator=estimator, entropy_weight=0.0, logit_l2=0.0, gumbel_temperature=5.0
    )
    networks = networks_of(GAME, settings)
    logits = torch.tensor([2.0, -2.0, 0.0, 2.0])
    networks["actor"].get_submodule("head").bias.data.copy_(logits)
    for parameter in networks["critic"].parameters():  # the action alone decides which units are on
        parameter.data = torch.randn(parameter.shape) * (parameter.ndim > 1)
    updater = make_updater(GAME, settings, networks)
    row = random_batch(GAME, settings, 1, seed=2)
    row["legal"][:] = torch.tensor([True, True, True, False])
    row["observation"].zero_()
    batch = {name: column.repeat_interleave(4000, 0) for name, column in row.items()}
    loss = updater.update(batch, 1e-3)["losses/actor"]
    policy = functional.softmax(logits[:3], dim=0)
    with torch.no_grad():
        asked = torch.cat([ONE_HOTS, functional.pad(policy, (0, 1)).unsqueeze(0)])
        values = networks["critic"](as_input(row["observation"]), None, asked.unsqueeze(0))
    *of_actions, _, of_policy = values.amin(dim=0).squeeze(0)
    of_actions = torch.stack(of_actions)
    mean = (policy * of_actions).sum()
    if estimator == "gumbel":
        error = ((policy * (of_actions - mean) ** 2).sum() / 4000).sqrt()
        assert 0 < abs(-loss - mean) < 4 * error
    else:
        torch.testing.assert_close(-loss, of_policy if estimator == "softmax" else mean)
    assert abs(of_policy - mean) > 1e-2 * of_actions.std()


@pytest.mark.parametrize("estimator", ["exact", "gumbel", "softmax"])
def test_the_actors_loss_leaves_no_gradient_in_the_critic(estimator: str):
    settings = DDPGSettings(policy_delay=1, estimator=estimator)
    networks = networks_of(GAME, settings)
    counts = dict.fromkeys(networks, 0)
    for name, network in networks.items():
        for parameter in network.parameters():

            def count(_: Tensor, name: str = name) -> None:
                counts[name] += 1

            parameter.register_post_accumulate_grad_hook(count)
    updater = make_updater(GAME, settings, networks)
    for seed in range(3):
        updater.update(random_batch(GAME, settings, 8, seed), 1e-3)
    num_parameters = {name: len(list(network.parameters())) for name, network in networks.items()}
    assert counts == {name: 3 * number for name, number in num_parameters.items()}


def test_the_actors_rate_is_a_share_of_the_critics():
    learner = LearnerSettings(optimizer="sgd", weight_decay=0.0, gradient_clip=1e6)
    batch = random_batch(GAME, DDPGSettings(), 16, seed=2)
    moves = []
    for rate in (None, 0.1 * learner.learning_rate):
        settings = DDPGSettings(actor_learning_rate=rate)
        networks = networks_of(GAME, settings)
        before = copies(networks)
        make_updater(GAME, settings, networks, learner=learner).update(batch, 1e-2)
        moves.append(
            {
                name: torch.cat(
                    [
                        (now - then).detach().flatten()
                        for now, then in zip(
                            networks[name].parameters(), before[name].parameters(), strict=True
                        )
                    ]
                )
                for name in networks
            }
        )
    full, slow = moves
    torch.testing.assert_close(slow["critic"], full["critic"])
    torch.testing.assert_close(slow["actor"], 0.1 * full["actor"], rtol=1e-3, atol=1e-7)
    assert full["actor"].abs().max() > 1e-4


# ------------------------------------------------------ targets, averages, past selves


def test_actor_and_targets_move_every_policy_delay_th_time_and_the_critic_always():
    settings = DDPGSettings(policy_delay=3)
    networks = networks_of(GAME, settings)
    updater = make_updater(GAME, settings, networks)
    moved: dict[str, list[bool]] = {name: [] for name in ("critic", "actor", "target_critic")}
    for seed in range(7):
        before = copies(networks)
        targets = target_networks(updater, settings)
        scalars = updater.update(random_batch(GAME, settings, 32, seed), 1e-3)
        moved["critic"].append(is_changed(networks["critic"], before["critic"]))
        head = networks["actor"].get_submodule("head")
        moved["actor"].append(is_changed(head, before["actor"].get_submodule("head")))
        moved["target_critic"].append(is_changed(target_networks(updater, settings)[1], targets[1]))
        assert ("losses/actor" in scalars) == moved["actor"][-1]
    every_third = [True, False, False, True, False, False, True]
    assert moved == {"critic": 7 * [True], "actor": every_third, "target_critic": every_third}


def test_targets_go_the_share_tau_of_the_way():
    settings = DDPGSettings(policy_delay=1, tau=0.25)
    networks = networks_of(GAME, settings)
    updater = restless(make_updater(GAME, settings, networks))
    before = target_networks(updater, settings)
    updater.update(random_batch(GAME, settings, 16, seed=1), 1e-2)
    after = target_networks(updater, settings)
    online = networks["actor"], networks["critic"]
    for old, new, aim in zip(before, after, online, strict=True):
        for start, end, goal in zip(
            old.parameters(), new.parameters(), aim.parameters(), strict=True
        ):
            torch.testing.assert_close(end, 0.75 * start + 0.25 * goal, rtol=1e-6, atol=1e-7)


def test_targets_are_no_parameters_that_learn():
    settings = DDPGSettings(policy_delay=2)
    updater = restless(make_updater(GAME, settings))
    updater.update(random_batch(GAME, settings, 16, seed=1), 1e-2)
    before = copy.deepcopy(updater.state())
    updater.update(random_batch(GAME, settings, 16, seed=2), 1e-2)  # of the critic alone
    for name in ("target_actor", "target_critic"):
        assert_equal(updater.state()[name], before[name])


def test_a_past_self_is_kept_every_so_many_updates_in_place_of_the_oldest():
    settings = DDPGSettings(policy_delay=1)
    opponent = OpponentSettings(num_past_selves=2, past_self_interval_steps=3)
    # No averaging: who plays is who learns.
    learner = LearnerSettings(optimizer="adamw", ema_decay=0.0)
    updater = make_updater(GAME, settings, opponent=opponent, learner=learner)
    selves = [head_bias(updater, "actor.")]
    for seed in range(9):
        updater.update(random_batch(GAME, settings, 16, seed), 1e-2)
        selves.append(head_bias(updater, "actor."))
        kept = [selves[0]] * 2 + selves[3::3]
        assert head_bias(updater, "past0.") == kept[-2] and head_bias(updater, "past1.") == kept[-1]
    assert len(set(map(tuple, selves))) == 10


def head_bias(updater: Any, prefix: str) -> list[float]:
    return updater.actor_weights()[f"{prefix}head.bias"].tolist()


def test_without_past_selves_none_is_kept_or_published():
    opponent = OpponentSettings(num_past_selves=0, self_share=0.0, past_self_interval_steps=1)
    updater = make_updater(GAME, DDPGSettings(), opponent=opponent)
    updater.update(random_batch(GAME, DDPGSettings(), 16, seed=0), 1e-2)
    assert not [name for name in updater.actor_weights() if name.startswith("past")]


def test_actors_play_with_an_average_of_the_actors_of_late():
    settings = DDPGSettings(policy_delay=1)
    learner = LearnerSettings(optimizer="adamw", ema_decay=0.05)
    networks = networks_of(GAME, settings)
    updater = make_updater(GAME, settings, networks, learner=learner)
    bias = networks["actor"].get_submodule("head").bias
    before, online = head_bias(updater, "actor."), []
    for seed in range(2):
        updater.update(random_batch(GAME, settings, 16, seed), 1e-2)
        online.append(bias.detach().clone())
    first = 0.05 * torch.tensor(before) + 0.95 * online[0]
    expected = 0.05 * first + 0.95 * online[1]
    torch.testing.assert_close(torch.tensor(head_bias(updater, "actor.")), expected)
    torch.testing.assert_close(updater.released_weights()["actor.head.bias"], expected)


# ------------------------------------------------------------------------------ resume


@pytest.mark.parametrize("estimator", ["exact", "gumbel"])
def test_a_restored_updater_continues_bit_by_bit(estimator: str):
    settings = DDPGSettings(estimator=estimator)
    opponent = OpponentSettings(num_past_selves=2, past_self_interval_steps=3, promotion_episodes=2)
    played = [
        {"num_steps": 20, "opponent": 0, "is_evaluation": 0, "has_won": 1, "points": 1},
        {"num_steps": 20, "opponent": 1, "is_evaluation": 0, "has_won": 1, "points": 1},
    ]

    def go_on(updater: Any, first: int, end: int) -> None:
        for seed in range(first, end):
            updater.update(random_batch(GAME, settings, 16, seed), 1e-2)
            updater.apply_results(updater.count_results(played))

    straight = make_updater(GAME, settings, opponent=opponent)
    go_on(straight, 0, 8)
    first_half = make_updater(GAME, settings, opponent=opponent)
    go_on(first_half, 0, 5)  # the actor's turn is not the next
    second_half = make_updater(
        GAME, settings, opponent=opponent, networks=networks_of(GAME, settings, 8)
    )
    second_half.load_state(copy.deepcopy(first_half.state()))
    go_on(second_half, 5, 8)
    assert_equal(second_half.state(), straight.state())
    assert_equal(second_half.actor_weights(), straight.actor_weights())
    assert_equal(second_half.released_weights(), straight.released_weights())
    assert straight.state()["guidance"]["level"] > 0
    assert straight.state()["guidance"]["episodes"] == 16


def test_a_state_is_what_torch_loads_without_pickled_code(tmp_path: Path):
    settings = DDPGSettings()
    updater = make_updater(GAME, settings)
    updater.update(random_batch(GAME, settings, 16, seed=0), 1e-2)
    torch.save(updater.state(), tmp_path / "state.pt")
    assert_equal(torch.load(tmp_path / "state.pt", weights_only=True), updater.state())


def test_gumbel_draws_anew_in_every_update_and_on_every_rank():
    """The same networks and batch: only the draws differ."""
    settings = DDPGSettings(estimator="gumbel", policy_delay=1)
    batch = random_batch(GAME, settings, 64, seed=0)
    losses = []
    for seed, num_updates in ((0, 0), (0, 1), (1, 0), (0, 0)):
        updater = restless(make_updater(GAME, settings, seed=seed))
        edit_state(updater, lambda state, n=num_updates: state.update(num_updates=n))
        losses.append(float(updater.update(batch, 1e-2)["losses/actor"]))
    assert losses[0] == losses[3] and len(set(losses)) == 3


def test_an_updater_that_starts_from_released_weights_has_them_everywhere():
    settings = DDPGSettings(policy_delay=1)
    old = make_updater(GAME, settings)
    for seed in range(3):
        old.update(random_batch(GAME, settings, 16, seed), 1e-2)
    new = make_updater(GAME, settings, networks=networks_of(GAME, settings, 8))
    released = old.released_weights()
    new.start_from(released)
    assert_equal(new.released_weights(), released)
    state = new.state()
    actors = [state["actor"], state["target_actor"], state["ema"], *state["past_selves"]]
    for weights in actors:
        assert_equal(
            {f"actor.{name}": value for name, value in weights.items()},
            new_part(released, "actor."),
        )
    assert_equal(state["target_critic"], state["critic"])


def new_part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(prefix)}


# --------------------------------------------------------------------------- two ranks

TWO_RANKS = """
import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from ddpzero.run.ranks import join_ranks
from tests.algorithms.ddpg.harness import make_updater, random_batch
from tests.algorithms.ddpg.test_updater import GAME, KINDS, RANKED, UNEQUAL

torch.set_num_threads(1)
reduced = {}  # numbers that each network reduced over the ranks
with join_ranks("cpu", 60.0) as ranks:
    def wrap(module):
        wrapped, name = ranks.wrap(module), type(module).__name__
        def hook(_, bucket):
            reduced[name] = reduced.get(name, 0) + bucket.buffer().numel()
            return allreduce_hook(None, bucket)
        wrapped.register_comm_hook(None, hook)
        return wrapped

    for kind in RANKED:
        updater = make_updater(GAME, KINDS[kind], wrap=ranks.wrap)
        for seed in range(3):
            batch = random_batch(GAME, KINDS[kind], 32, seed)
            mine = slice(16 * ranks.rank, 16 * ranks.rank + 16)
            updater.update({name: column[mine] for name, column in batch.items()}, 1e-3)
        torch.save(updater.state(), folder / f"{kind}-{ranks.rank}.pt")

    torch.manual_seed(100 + ranks.rank)
    updater = make_updater(GAME, UNEQUAL, wrap=wrap, seed=ranks.rank)
    for seed in range(20):
        updater.update(random_batch(GAME, UNEQUAL, 8 + 8 * ranks.rank, 2 * seed + ranks.rank), 1e-2)
    torch.save(updater.state(), folder / f"unequal-{ranks.rank}.pt")
say(reduced=reduced)
"""
RANKED = ("features", "planes", "centralized")
UNEQUAL = DDPGSettings(estimator="gumbel", policy_delay=2)


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("two-ranks")
    return folder, run_ranks(folder, TWO_RANKS)


@pytest.mark.parametrize("kind", RANKED)
def test_two_ranks_with_half_batches_make_the_update_of_one_rank_with_the_whole(
    two_ranks, kind: str
):
    settings = KINDS[kind]
    updater = make_updater(GAME, settings)
    for seed in range(3):
        updater.update(random_batch(GAME, settings, 32, seed), 1e-3)
    ranked = torch.load(two_ranks[0] / f"{kind}-0.pt", weights_only=True)
    for network in ("actor", "critic", "target_actor", "target_critic", "ema"):
        for name, value in updater.state()[network].items():
            torch.testing.assert_close(ranked[network][name], value, rtol=0, atol=1e-6)


def test_ranks_are_equal_after_updates_from_unequal_data(two_ranks):
    first, second = (
        torch.load(two_ranks[0] / f"unequal-{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert_equal(first, second)
    start = make_updater(GAME, UNEQUAL).state()
    assert not torch.equal(first["actor"]["head.bias"], start["actor"]["head.bias"])


def test_ranks_reduce_only_the_gradients_of_the_network_that_steps(two_ranks):
    """Of 20 updates: the critic's 20 times, the actor's 10 times, nothing besides."""
    numbers = {
        type(network).__name__: sum(parameter.numel() for parameter in network.parameters())
        for network in networks_of(GAME, UNEQUAL).values()
    }
    expected = {"Critic": 20 * numbers["Critic"], "Actor": 10 * numbers["Actor"]}
    assert [answer["reduced"] for answer in two_ranks[1]] == [expected, expected]


@pytest.mark.parametrize("estimator", ["softmax", "gumbel"])
def test_sound_weights_are_trainable_and_a_trial_changes_nothing(estimator):
    settings = DDPGSettings(estimator=estimator)
    game = small_snakes()
    tried, straight = make_updater(game, settings), make_updater(game, settings)
    for seed in range(4):
        batch = random_batch(game, settings, 32, seed)
        tried.update(batch, 1e-3)
        straight.update(batch, 1e-3)
        assert tried.is_trainable(batch)
    assert_equal(straight.state(), tried.state())


@pytest.mark.parametrize("part", ["actor", "critic", "target_critic", "ema"])
def test_weights_that_are_not_finite_are_not_trainable(part):
    game, settings = small_snakes(), DDPGSettings()
    updater = make_updater(game, settings)
    state = updater.state()
    state[part] = {name: torch.nan * value for name, value in state[part].items()}
    updater.load_state(state)
    assert not updater.is_trainable(random_batch(game, settings, 32, seed=0))


@pytest.mark.parametrize("part", ["critic", "ema"])
def test_values_and_logits_of_absurd_size_are_not_trainable_though_finite(part):
    game, settings = small_snakes(), DDPGSettings()
    updater = restless(make_updater(game, settings))
    batch = random_batch(game, settings, 32, seed=0)
    assert updater.is_trainable(batch)
    state = updater.state()
    state[part] = {name: 1e3 * value for name, value in state[part].items()}
    updater.load_state(state)
    assert not updater.is_trainable(batch)
    if part == "critic":  # of a game with such rewards they would be sound
        assert updater.is_trainable({**batch, "reward": batch["reward"] + 1e6})


def test_a_batch_that_is_not_finite_is_skipped_by_actor_and_critic():
    game, settings = small_snakes(), DDPGSettings()
    updater = make_updater(game, settings)
    updater.update(random_batch(game, settings, 32, seed=0), 1e-3)
    before = copy.deepcopy(updater.state())
    bad = random_batch(game, settings, 32, seed=1)
    bad["observation"] = torch.full_like(bad["observation"], torch.nan)
    for count in (1, 2):
        updater.update(bad, 1e-3)
        assert updater.skipped_in_a_row() == count
    after = updater.state()
    for name in ("actor", "critic", "optimizers"):
        assert_equal(before[name], after[name])
    assert weights_problem(state_tensors(after)) == ""
