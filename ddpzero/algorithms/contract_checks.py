"""Checks that a plugin keeps the contract of base.py: makes its parts, plays, updates, resumes, reports violations.

Called by contract_process.py and by tests. contract_values.py checks what is returned, contract_players.py the player;
contract_ranks.py runs the updates on two ranks.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from ddpzero.actors.spec import Actor
from ddpzero.algorithms.base import LOSS, CompleteAlgorithm, CompleteUpdater, EpisodeFacts, Updater
from ddpzero.algorithms.contract_players import problems_of_player
from ddpzero.algorithms.contract_ranks import released_at_two_ranks
from ddpzero.algorithms.contract_values import (
    problem_of_tag,
    problems_of_counts,
    problems_of_evaluation,
    problems_of_numbers,
    problems_of_tensors,
    shown,
)
from ddpzero.algorithms.loader import (
    has_parameter,
    load_algorithm,
    load_plugin,
    missing_members,
)
from ddpzero.games import load_any_game
from ddpzero.replay import Episode, Field, SampleSpec, decode_episode, encode_episode
from ddpzero.replay.sample import check_columns, check_values
from ddpzero.settings import Settings
from ddpzero.system.errors import UserError, in_one_line, line_of
from ddpzero.system.memory import Need

Tensors = dict[str, torch.Tensor]

_NUM_EPISODES = 4
# Calls of an actor's `play` before the check gives up: some minutes.
_MAX_SLICES = 3_000
# Twice the longest cycle in which the names of an update's metrics may alternate.
_NUM_UPDATES = 8
_BATCH_SIZE = 32
_LEARNING_RATE = 1e-3
_STATE = "return nested dicts and lists of tensors and numbers"


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


def check_algorithm(
    settings: Settings, tell: Callable[[AlgorithmReport], None] = lambda report: None
) -> AlgorithmReport:
    """Check the plugin of these settings with their game. Small batches and few episodes: it takes seconds.

    tell: called with the report so far before each promise, whose name is the last one in it, and at the end.
    """
    settings = _small(settings)
    report = AlgorithmReport(load_plugin(settings.algorithm).key, settings.game.name)
    check = _Check(settings)
    torch.set_num_threads(1)
    for promise, function in check.promises():
        report.checked.append(promise)
        tell(report)
        if (problem := _first_problem(function)) is not None:
            problem = problem.removeprefix(f"{report.plugin}: ")
            report.violations.append(f"{promise}: {problem.rstrip('.')}.")
            if function in check.needed_by_the_others:
                break
    tell(report)
    return report


def _first_problem(function: Callable[[], Iterator[str]]) -> str | None:
    try:
        return next(iter(function()), None)
    except UserError as error:
        return str(error)
    # A plugin can raise anything, and SystemExit would end the command.
    except (Exception, SystemExit) as error:
        return f"{in_one_line(error).rstrip('.')} (raised in {line_of(error)})"


def _small(settings: Settings) -> Settings:
    learner = replace(
        settings.learner, batch_size=_BATCH_SIZE, precision="float32", compile=False, warmup_steps=0
    )
    actors = replace(settings.actors, num_games=8, precision="float32", compile=False)
    return replace(settings, learner=learner, actors=actors, device="cpu")


class _Check:
    """The parts of one plugin, made one after another. Each check yields problems, as the end of a sentence."""

    algorithm: CompleteAlgorithm
    spec: SampleSpec
    episodes: list[Episode]
    updater: CompleteUpdater
    columns: dict[str, np.ndarray]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.needed_by_the_others: list[Callable[[], Iterator[str]]] = [
            *(
                self.check_algorithm,
                self.check_sample_spec,
                self.check_networks,
                self.check_episodes,
                self.check_update,
            ),
        ]

    def promises(self) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
        yield "make_algorithm returns an algorithm with all required methods", self.check_algorithm
        yield "check and ignored accept the settings", self.check_module
        yield "model_tag, fits and memory_needs describe the algorithm", self.check_description
        yield (
            "sample_spec names its fields, weights_version int32 among them",
            self.check_sample_spec,
        )
        yield "torch's seed determines the networks of make_networks", self.check_networks
        yield "an actor plays episodes of the sample spec", self.check_episodes
        yield "the counts of take_metrics have names of their own", self.check_counts
        yield "seed and weights determine the episodes of a round", self.check_rounds
        yield f"an update returns {LOSS} and metrics of a fixed set, all finite", self.check_update
        yield "an update changes the released weights", self.check_learning
        yield "is_trainable accepts a batch and changes nothing", self.check_trial
        yield (
            "evaluate returns metrics of held-out samples and changes nothing",
            self.check_evaluate,
        )
        yield "results of episodes become counts and metrics", self.check_results
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

    # ------------------------------------------------------------------------ the module

    def check_algorithm(self) -> Iterator[str]:
        self.algorithm = load_algorithm(self.settings)
        return iter(())

    def check_module(self) -> Iterator[str]:
        plugin = load_plugin(self.settings.algorithm)
        game = load_any_game(**self.settings.game.arguments)
        plugin.check(self.settings, game)
        plugin.ignored(self.settings, game)
        return iter(())

    def check_description(self) -> Iterator[str]:
        algorithm: Any = self.algorithm
        if problem := problem_of_tag(algorithm.model_tag()):
            yield problem
        if not isinstance(fits := algorithm.fits(algorithm.game), bool):
            yield f"fits returns {fits!r}, neither True nor False"
        actors, learner = self.settings.actors, self.settings.learner
        for on_gpu in (False, True):
            needs = algorithm.memory_needs(actors, 2, learner, on_gpu, on_gpu)
            if not isinstance(needs, list) or not all(isinstance(need, Need) for need in needs):
                yield f"memory_needs returns {shown(needs)}, not a list of Need"
            if any(need.size_bytes < 0 for need in needs):
                yield "memory_needs returns a negative size"

    # ------------------------------------------------------------------ samples and play

    def check_sample_spec(self) -> Iterator[str]:
        spec: Any = self.algorithm.sample_spec()
        if not isinstance(spec, dict) or not all(isinstance(f, Field) for f in spec.values()):
            yield f"it returns {shown(spec)}, not a dict of name to Field"
        self.spec = spec
        version = self.spec.get("weights_version")
        if version is None or (version.shape, version.dtype) != ((), np.dtype(np.int32)):
            yield "the field weights_version is missing or is not an int32 scalar"

    def check_networks(self) -> Iterator[str]:
        first: Any = self._new_networks()
        second = self._new_networks()
        if not isinstance(first, dict):
            yield f"make_networks returns {shown(first)}, not a dict of name to network"
        if not first or not all(any(True for _ in n.parameters()) for n in first.values()):
            yield "there is no network, or one has no parameters"
        for name, network in first.items():
            if not _are_equal(network.state_dict(), second[name].state_dict()):
                yield f"two networks {name!r} made with the same seed differ"
        self.updater = self._new_updater()
        if missing := missing_members(self.updater, Updater):
            yield f"the updater lacks {', '.join(missing)}"

    def check_episodes(self) -> Iterator[str]:
        # Training pickles the arguments, to start the actor in a new process. Pickling can raise many types of errors.
        try:
            pickle.dumps(self.algorithm.actor_spec(self.settings.actors, "cpu").arguments)
        except Exception as error:
            yield (
                f"the arguments of actor_spec cannot be pickled ({in_one_line(error)}): use plain values and "
                "frozen dataclasses"
            )
        self.actor = self._new_actor()
        if missing := missing_members(self.actor, Actor):
            yield f"the actor lacks {', '.join(missing)}"
        self.episodes = []
        for _ in range(_MAX_SLICES):
            played: Any = self.actor.play()
            if not isinstance(played, list) or not all(isinstance(e, Episode) for e in played):
                yield f"play returns {shown(played)}, not a list of Episode"
            self.episodes += played
            if len(self.episodes) >= _NUM_EPISODES:
                break
        else:
            yield f"{_MAX_SLICES} calls of play() returned {len(self.episodes)} episodes"
        for episode in self.episodes:
            try:
                check_columns(self.spec, episode.columns)
                check_values(self.spec, episode.columns)
                sent = decode_episode(encode_episode(episode, self.spec), self.spec)
            except ValueError as error:
                yield str(error)
                return
            if sent.info != episode.info:
                yield f"the info {episode.info} arrives as {sent.info}"
            if (episode.columns["weights_version"] != 1).any():
                yield "weights_version is not that of the received weights"
        self.columns = {
            name: np.concatenate([episode.columns[name] for episode in self.episodes])
            for name in self.spec
        }
        if not len(self.columns["weights_version"]):
            yield f"{len(self.episodes)} episodes have no samples"

    def check_counts(self) -> Iterator[str]:
        yield from problems_of_counts(self.actor.take_metrics())

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
            yield f"rounds of 3 episodes return {' and '.join(str(len(p)) for p in rounds)} episodes"
        for first, second in zip(*rounds, strict=True):
            for name in self.spec:
                if not np.array_equal(first.columns[name], second.columns[name]):
                    yield f"two rounds with the same seed differ in {name}"

    # --------------------------------------------------------------------------- updates

    def check_update(self) -> Iterator[str]:
        self.before = _copied(self.updater.released_weights())
        shapes = _shapes(self.updater.actor_weights())
        names: list[set[str]] = [set(), set()]
        for index in range(_NUM_UPDATES):
            metrics = self.updater.update(self._batch(index), _LEARNING_RATE)
            yield from problems_of_tensors(metrics)
            names[2 * index // _NUM_UPDATES] |= metrics.keys()
            if LOSS not in metrics:
                yield f"the metrics of update {index + 1} lack {LOSS}"
        if names[0] != names[1]:
            yield f"the set of metrics changes: {', '.join(sorted(names[0] ^ names[1]))}"
        if _shapes(self.updater.actor_weights()) != shapes:
            yield "the names, shapes or dtypes of actor_weights change"

    def check_learning(self) -> Iterator[str]:
        after = self.updater.released_weights()
        if after.keys() != self.before.keys():
            yield f"the names of the released weights change: {', '.join(sorted(after.keys() ^ self.before.keys()))}"
        if _are_equal(after, self.before):
            yield f"the released weights are the same after {_NUM_UPDATES} updates"

    def check_trial(self) -> Iterator[str]:
        before = _saved(self.updater.state())
        if (answer := self.updater.is_trainable(self._batch(0))) is not True:
            yield f"it returns {answer!r} after updates with finite losses"
        if _saved(self.updater.state()) != before:
            yield "it changes the state of the updater"
        if (skipped := self.updater.skipped_in_a_row()) != 0:
            yield f"skipped_in_a_row returns {skipped!r} after updates with finite losses"

    def check_evaluate(self) -> Iterator[str]:
        before = _saved(self.updater.state())
        yield from problems_of_evaluation(self.updater.evaluate(self._batch(0)))
        if _saved(self.updater.state()) != before:
            yield "it changes the state of the updater"

    def check_results(self) -> Iterator[str]:
        # Another updater, because the counts of a few episodes must not change the checks that follow.
        updater: Any = self._new_updater()
        infos = [episode.info for episode in self.episodes]
        counts = updater.count_results(infos)
        for again in (updater.count_results([]), updater.count_results(infos)):
            if not isinstance(again, dict) or again.keys() != counts.keys():
                yield f"the keys of count_results change: {list(counts)}, then {list(again)}"
        if counts:
            if not all(isinstance(value, (int, float)) for value in counts.values()):
                yield f"count_results returns {counts}, not numbers"
            yield from problems_of_numbers(updater.apply_results(counts))

    def check_resume(self) -> Iterator[str]:
        resumed = self._new_updater()
        saved = _loaded(_saved(self.updater.state()))
        warnings: Any = resumed.load_state(saved)
        if not isinstance(warnings, list) or not all(isinstance(text, str) for text in warnings):
            yield f"load_state returns {warnings!r}, not a list of warnings"
        if warnings:
            yield f"load_state warns about the updater's own state: {warnings[0]!r}"
        updaters = (self.updater, resumed)
        metrics = [updater.update(self._batch(99), _LEARNING_RATE) for updater in updaters]
        if not _are_equal(metrics[0], metrics[1]):
            yield "the metrics of the next update differ"
        if not _are_equal(*(updater.released_weights() for updater in updaters)):
            yield "the released weights differ after the next update"

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
            yield "the released weights differ from the given ones"

    def check_two_ranks(self) -> Iterator[str]:
        batches = [{n: v.numpy() for n, v in self._batch(index).items()} for index in range(4)]
        first, second = released_at_two_ranks(self.settings, batches)
        if not _are_equal(first, second):
            yield "they differ: every forward pass with a gradient must go through the network that `wrap` returns"

    # --------------------------------------------------------------------------- players

    def check_player(self) -> Iterator[str]:
        player: Any = self.algorithm.make_player(
            self.updater.released_weights(), "model", **self._known_overrides()
        )
        yield from problems_of_player(player, "model", self.algorithm.game)

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
        algorithm: Any = self.algorithm
        for some in ([], infos):
            metrics = algorithm.summarize_episodes(some)
            yield from problems_of_numbers(metrics)
        if not isinstance(line := algorithm.summary_line(metrics), str):
            yield f"summary_line returns {line!r}, not text"
        for info in filter(algorithm.can_show, infos):
            if not isinstance(text := algorithm.describe_episode(info), str):
                yield f"describe_episode returns {text!r}, not text"
        for episode in self.episodes:
            facts = algorithm.facts_of_episode(episode.info)
            if not (facts is None or isinstance(facts, EpisodeFacts)):
                yield f"facts_of_episode returns {facts!r}, neither EpisodeFacts nor None"
            if problem := algorithm.problem_of_episode(episode.info, episode.columns):
                yield f"problem_of_episode says that an episode of its own actor {problem}"
        changes = algorithm.settings_for_checks()
        if not (changes is None or (isinstance(changes, dict) and all(map(_is_key, changes)))):
            yield f"settings_for_checks returns {changes!r}, neither settings by dotted keys nor None"
        for info in filter(algorithm.can_show, infos):
            for frame in algorithm.film_episode(info)[:2]:
                pixels = np.asarray(frame)
                if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                    yield "film_episode must return images [height, width, 3] uint8"

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


def _are_equal(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in weights.items()}


def _copied(weights: Mapping[str, torch.Tensor]) -> Tensors:
    return copy.deepcopy(dict(weights))


def _saved(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    try:
        torch.save(state, file)
    # Pickling raises errors of many types.
    except Exception as error:
        raise UserError(f"state() cannot be saved ({in_one_line(error)}): {_STATE}") from error
    return file.getvalue()


def _loaded(saved: bytes) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(saved), weights_only=True)
    except UnpicklingError as error:
        reason = in_one_line(error)[:200]
        raise UserError(f"state() cannot be loaded ({reason}): {_STATE}") from error
    return state


def _is_key(key: object) -> bool:
    return isinstance(key, str) and all(map(str.isidentifier, key.split(".")))
