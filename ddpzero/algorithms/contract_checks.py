"""Checks that a plugin keeps the contract of base.py: makes its parts, plays, updates, resumes, reports violations.

Called by `ddpzero verify algorithm` and by tests. contract_ranks.py runs the updates on two ranks.
"""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ddpzero.actors.spec import Actor
from ddpzero.algorithms.base import CORE_GROUPS, LOSS, CompleteUpdater
from ddpzero.algorithms.contract_ranks import released_at_two_ranks
from ddpzero.algorithms.loader import has_parameter, load_algorithm, load_plugin
from ddpzero.games import Game, TeamGame
from ddpzero.games.core.random_bits import new_random_states
from ddpzero.games.core.team_lockstep import reset_games
from ddpzero.replay import Episode, SampleSpec, decode_episode, encode_episode
from ddpzero.replay.sample import check_columns, check_values
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, in_one_line

Tensors = dict[str, torch.Tensor]

_NUM_EPISODES = 4
# Calls of an actor's `play` before the check gives up: some minutes.
_MAX_SLICES = 3_000
# Twice the longest cycle in which the names of an update's metrics may alternate.
_NUM_UPDATES = 8
_BATCH_SIZE = 32
_LEARNING_RATE = 1e-3
_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*/[A-Za-z0-9_.\-]+")


@dataclass
class AlgorithmReport:
    """The promises of the contract that were checked, in order, and at most one violation of each."""

    plugin: str
    game: str
    checked: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines for the user."""
        kept = len(self.checked) - len(self.violations)
        head = f"contract of {self.plugin} with game={self.game}: {kept} of {len(self.checked)} promises kept"
        broken = [f"violation: {violation}" for violation in self.violations]
        return [head, *(f"  {promise}" for promise in self.checked), *(broken or ["no violations"])]


def check_algorithm(settings: Settings) -> AlgorithmReport:
    """Check the plugin of these settings with their game. Small batches and few episodes: it takes seconds."""
    settings = _small(settings)
    report = AlgorithmReport(load_plugin(settings.algorithm).key, settings.game.name)
    check = _Check(settings)
    torch.set_num_threads(1)
    for promise, function in check.promises():
        report.checked.append(promise)
        try:
            problem = next(iter(function()), None)
        # A plugin can raise anything.
        except Exception as error:
            problem = f"{in_one_line(error)} is raised"
        if problem is not None:
            report.violations.append(f"{promise}: {problem}.")
            if function in check.needed_by_the_others:
                break
    return report


def _small(settings: Settings) -> Settings:
    learner = replace(
        settings.learner, batch_size=_BATCH_SIZE, precision="float32", compile=False, warmup_steps=0
    )
    actors = replace(settings.actors, num_games=8, precision="float32", compile=False)
    return replace(settings, learner=learner, actors=actors, device="cpu")


class _Check:
    """The parts of one plugin, made one after another. Each check yields problems, as the end of a sentence."""

    spec: SampleSpec
    episodes: list[Episode]
    updater: CompleteUpdater
    columns: dict[str, np.ndarray]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.algorithm = load_algorithm(settings)
        self.needed_by_the_others: list[Callable[[], Iterator[str]]] = [
            *(self.check_sample_spec, self.check_networks, self.check_episodes, self.check_update),
        ]

    def promises(self) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
        yield (
            "sample_spec names its fields, weights_version int32 among them",
            self.check_sample_spec,
        )
        yield "torch's seed determines the networks of make_networks", self.check_networks
        yield "an actor plays episodes of the sample spec", self.check_episodes
        yield "seed and weights determine the episodes of a round", self.check_rounds
        yield f"an update returns {LOSS} and metrics of a fixed set, all finite", self.check_update
        yield "an update changes the released weights", self.check_learning
        yield "a trial of a batch (is_trainable) changes nothing", self.check_trial
        yield "load_state(state()) continues bit by bit", self.check_resume
        yield "load_state refuses an unusable state", self.check_foreign_state
        yield (
            "a new run starts from released weights, or init_from is refused",
            self.check_start_from,
        )
        yield "two ranks hold equal weights after updates", self.check_two_ranks
        yield "a player with released weights chooses legal actions", self.check_player
        yield "make_player refuses overrides that it does not know", self.check_overrides
        yield "episodes are summarized and shown in numbers, text and pictures", self.check_reports

    # ------------------------------------------------------------------ samples and play

    def check_sample_spec(self) -> Iterator[str]:
        self.spec = self.algorithm.sample_spec()
        version = self.spec.get("weights_version")
        if version is None or (version.shape, version.dtype) != ((), np.dtype(np.int32)):
            yield "weights_version is missing, or is no int32 scalar"

    def check_networks(self) -> Iterator[str]:
        first, second = self._new_networks(), self._new_networks()
        if not first or not all(any(True for _ in n.parameters()) for n in first.values()):
            yield "there is no network, or one without parameters"
        for name, network in first.items():
            if not _are_equal(network.state_dict(), second[name].state_dict()):
                yield f"two networks {name!r} made with one seed differ"
        self.updater = self._new_updater()

    def check_episodes(self) -> Iterator[str]:
        actor = self._new_actor()
        self.episodes = []
        for _ in range(_MAX_SLICES):
            self.episodes += actor.play()
            if len(self.episodes) >= _NUM_EPISODES:
                break
        else:
            yield f"{_MAX_SLICES} calls of play() returned {len(self.episodes)} episodes"
        for episode in self.episodes:
            check_columns(self.spec, episode.columns)
            check_values(self.spec, episode.columns)
            sent = decode_episode(encode_episode(episode, self.spec), self.spec)
            if sent.info != episode.info:
                yield f"the info {episode.info} arrives as {sent.info}"
            if (episode.columns["weights_version"] != 1).any():
                yield "weights_version is not that of the weights received"
        self.columns = {
            name: np.concatenate([episode.columns[name] for episode in self.episodes])
            for name in self.spec
        }
        if not len(self.columns["weights_version"]):
            yield f"{len(self.episodes)} episodes have no samples"
        if not all(isinstance(v, (int, float)) for v in actor.take_metrics().values()):
            yield "take_metrics() of the actor returns something other than numbers"

    def check_rounds(self) -> Iterator[str]:
        rounds = []
        for _ in range(2):
            actor = self._new_actor()
            actor.start_round(3, 7)
            played: list[Episode] = []
            for _ in range(_MAX_SLICES):
                if actor.round_done:
                    break
                played += actor.play()
            rounds.append(played)
        if [len(played) for played in rounds] != [3, 3]:
            yield f"rounds of 3 episodes have {' and '.join(str(len(p)) for p in rounds)}"
        for first, second in zip(*rounds, strict=True):
            for name in self.spec:
                if not np.array_equal(first.columns[name], second.columns[name]):
                    yield f"two rounds with one seed differ in {name}"

    # --------------------------------------------------------------------------- updates

    def check_update(self) -> Iterator[str]:
        self.before = _copied(self.updater.released_weights())
        names: list[set[str]] = [set(), set()]
        for index in range(_NUM_UPDATES):
            metrics = self.updater.update(self._batch(index), _LEARNING_RATE)
            names[2 * index // _NUM_UPDATES] |= metrics.keys()
            if LOSS not in metrics:
                yield f"update {index + 1} lacks {LOSS}"
            yield from self._problems_of_metrics(metrics)
        if names[0] != names[1]:
            yield f"later updates return other metrics: {', '.join(sorted(names[0] ^ names[1]))}"

    def _problems_of_metrics(self, metrics: Mapping[str, Any]) -> Iterator[str]:
        for name, value in metrics.items():
            if not _METRIC_NAME.fullmatch(name):
                yield f"the metric {name!r} is not named group/name"
            if name.partition("/")[0] in CORE_GROUPS:
                yield f"the metric {name} stands in a group of the core ({', '.join(sorted(CORE_GROUPS))})"
            if not (isinstance(value, torch.Tensor) and value.ndim == 0):
                yield f"the metric {name} is no tensor without dimensions"
            elif not bool(value.isfinite()):
                yield f"the metric {name} is {float(value)}"

    def check_learning(self) -> Iterator[str]:
        after = self.updater.released_weights()
        if after.keys() != self.before.keys() or _are_equal(after, self.before):
            yield f"after {_NUM_UPDATES} updates they are what they were, or have other names"

    def check_trial(self) -> Iterator[str]:
        before = _saved(self.updater.state())
        if self.updater.is_trainable(self._batch(0)) is not True:
            yield "it says that a sound updater cannot train"
        if _saved(self.updater.state()) != before:
            yield "the state is another one afterwards"
        if self.updater.skipped_in_a_row() != 0:
            yield "updates were skipped"

    def check_resume(self) -> Iterator[str]:
        resumed = self._new_updater()
        saved = torch.load(io.BytesIO(_saved(self.updater.state())), weights_only=True)
        if sentences := resumed.load_state(saved):
            yield f"it says {sentences[0]!r}"
        updaters = (self.updater, resumed)
        metrics = [updater.update(self._batch(99), _LEARNING_RATE) for updater in updaters]
        if not _are_equal(metrics[0], metrics[1]):
            yield "the next update's metrics differ"
        if not _are_equal(*(updater.released_weights() for updater in updaters)):
            yield "the weights differ after the next update"

    def check_foreign_state(self) -> Iterator[str]:
        for state in ({}, {"network": 3}):
            try:
                self._new_updater().load_state(state)
            except (ValueError, KeyError, TypeError):
                continue
            yield f"it accepts {state}"

    def check_start_from(self) -> Iterator[str]:
        other = self._new_updater()
        weights = _copied(self.updater.released_weights())
        try:
            other.start_from(weights)
        except UserError:
            return
        if not _are_equal(other.released_weights(), weights):
            yield "the released weights are others afterwards"

    def check_two_ranks(self) -> Iterator[str]:
        batches = [{n: v.numpy() for n, v in self._batch(index).items()} for index in range(4)]
        first, second = released_at_two_ranks(self.settings, batches)
        if not _are_equal(first, second):
            yield "they differ: every forward pass with a gradient must go through what `wrap` returned"

    # --------------------------------------------------------------------------- players

    def check_player(self) -> Iterator[str]:
        player: Any = self.algorithm.make_player(
            self.updater.released_weights(), "model", **self._known_overrides()
        )
        if player.name != "model":
            yield f"its name is {player.name!r}, not the one given"
        if isinstance(self.algorithm.game, TeamGame):
            yield from self._problems_of_team_player(player, self.algorithm.game)
            return
        game = self.algorithm.game
        if not isinstance(player.uses_chance, bool):
            yield "its uses_chance is neither True nor False"
        positions = _positions(game)
        actions = np.asarray(player.choose(positions, np.random.default_rng(0)))
        if actions.shape != (len(positions),) or not np.issubdtype(actions.dtype, np.integer):
            yield f"it chose {actions.dtype}{list(actions.shape)} instead of integers [{len(positions)}]"
        elif not all(game.legal_actions(p)[a] for p, a in zip(positions, actions, strict=True)):
            yield "one of its actions is not legal"

    def _problems_of_team_player(self, player: Any, game: TeamGame) -> Iterator[str]:
        positions, states = game.new_positions(4), new_random_states(0, 4)
        reset_games(game.rules, positions, states, np.ones(4, np.bool_))
        actions = player.choose(positions, np.array([0, 1, 0, 1]), states)
        shape = (4, game.spec.agents_per_team)
        if actions.shape != shape or not np.issubdtype(actions.dtype, np.integer):
            yield f"it chose {actions.dtype}{list(actions.shape)} instead of integers {list(shape)}"
        elif ((actions < 0) | (actions >= game.spec.num_actions)).any():
            yield f"its actions are not all from 0 to {game.spec.num_actions - 1}"

    def check_overrides(self) -> Iterator[str]:
        try:
            self.algorithm.make_player(self.updater.released_weights(), "model", no_such_override=1)
        except (TypeError, UserError):
            return
        yield "it accepts no_such_override=1"

    def _known_overrides(self) -> dict[str, Any]:
        return {"device": "cpu"} if has_parameter(self.algorithm.make_player, "device") else {}

    def check_reports(self) -> Iterator[str]:
        infos = [episode.info for episode in self.episodes]
        metrics = self.algorithm.summarize_episodes(infos)
        tensors = {name: torch.tensor(value) for name, value in metrics.items()}
        yield from self._problems_of_metrics(tensors)
        if not isinstance(self.algorithm.summary_line(metrics), str):
            yield "summary_line returns no text"
        for info in filter(self.algorithm.can_show, infos):
            if not isinstance(self.algorithm.describe_episode(info), str):
                yield "describe_episode returns no text"
            for frame in self.algorithm.film_episode(info)[:2]:
                if frame.dtype != np.uint8 or frame.shape[2:] != (3,):
                    yield "film_episode returns something other than pictures [height, width, 3] uint8"

    # ----------------------------------------------------------------------------- parts

    def _new_networks(self) -> dict[str, torch.nn.Module]:
        torch.manual_seed(1)
        return self.algorithm.make_networks()

    def _new_updater(self) -> CompleteUpdater:
        return self.algorithm.make_updater(
            self._new_networks(), lambda m: m, self.settings.learner, torch.device("cpu"), seed=1
        )

    def _new_actor(self) -> Actor:
        actor = self.algorithm.actor_spec(self.settings.actors, "cpu").make(0, 0, seed=1)
        weights = self.updater.actor_weights()
        actor.receive({name: value.numpy().copy() for name, value in weights.items()}, 1)
        return actor

    def _batch(self, seed: int) -> Tensors:
        rows = np.random.default_rng(seed).integers(
            len(self.columns["weights_version"]), size=_BATCH_SIZE
        )
        return {name: torch.from_numpy(column[rows]) for name, column in self.columns.items()}


def _positions(game: Game) -> np.ndarray:
    """Return the initial position and the next positions of an episode of random moves, at most 20 in all."""
    rng, position = np.random.default_rng(0), game.initial_position()
    positions: list[np.ndarray] = []
    while not game.is_terminal(position) and len(positions) < 20:
        positions.append(position)
        position = game.apply_action(position, int(rng.choice(game.possible_actions(position))))
    return np.stack(positions)


def _are_equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def _copied(weights: Mapping[str, torch.Tensor]) -> Tensors:
    return copy.deepcopy(dict(weights))


def _saved(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()
