"""The contract between the core and a plugin, which is one learning algorithm.

The core runs processes, ranks, replay buffers, weights transport, checkpoints, logs and matches. A plugin decides what
is learned and how.

A plugin is a module that Python can import (`algorithm.plugin`) or a .py file (`algorithm.source`). It must define:

    GAME_KIND = Game                          the kind of games that it plays: Game or TeamGame, from ddpzero.games
    SECTIONS: dict[str, type]                 the config sections that it reads, each with the dataclass that checks it;
                                              "algorithm" is the plugin's own YAML file without `plugin` and `source`
    make_algorithm(game, sections)            returns an Algorithm for one game; sections: name -> instance of its
                                              dataclass

It may also define:

    check(settings, game)                     raises UserError for settings that contradict each other, or for a game
                                              of its kind that it cannot play
    ignored(settings, game)                   returns the settings that have no effect under the other settings, with
                                              reasons: {"learner.optimizer": "..."}; the core warns about those that
                                              the user changed
    METRICS: dict[str, MetricInfo]            kind, unit and description of its metrics, in the order in which they are
                                              displayed (system/metric_info.py)

Importing the module should be cheap and should not import torch, since every command that reads a config of this plugin
imports it. A plugin in a single file may import torch; those commands then take a second longer.

A plugin must implement `Algorithm`, `Updater`, the actor (`Actor` in actors/spec.py) and the player (`Player` or
`TeamPlayer` in games/core/players.py). `CompleteAlgorithm` and `CompleteUpdater` add optional methods; defaults.py has
the defaults for those that a plugin leaves out. `ddpzero verify algorithm` tests a plugin against this contract.

A metric is named "group/name"; TensorBoard and the monitor group metrics by the first part. `Updater.update` must
return LOSS, which the progress line shows. Methods of a plugin must not return metrics in CORE_GROUPS; METRICS may
declare rates and time shares there, computed from the counts of `Actor.take_metrics`, which must not have names in
CORE_COUNTS. Without an entry in METRICS, a
metric is a mean, and a count becomes the rate speed/<count>_per_second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from ddpzero.games import Game, TeamGame

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ddpzero.actors import ActorSpec, EvaluatorSpec
    from ddpzero.games.core.players import Player, TeamPlayer
    from ddpzero.replay import SampleSpec
    from ddpzero.settings import ActorSettings, LearnerSettings, Settings, SimulatedSettings
    from ddpzero.system.memory import Need

    Tensors = dict[str, torch.Tensor]
    Networks = dict[str, torch.nn.Module]
    Wrap = Callable[[torch.nn.Module], torch.nn.Module]


class EpisodeFacts(NamedTuple):
    """What tools show of a finished episode.

    game: with the board that it was played on. length: in plies, or in steps of all agents. returns: of each player, or
    of each team, in [-1, 1]. moves: from the initial position on; None if they are not recorded. first_ply: the number
    of moves before the plugin's own play: an opening, or an earlier episode. is_ended_by_rules: False if it was stopped
    with a known result.
    """

    game: Game | TeamGame
    length: int
    returns: tuple[float, ...]
    moves: list[int] | None = None
    first_ply: int = 0
    is_ended_by_rules: bool = True


# The metric of the loss that an updater minimizes; with several losses, the one that best shows its progress.
LOSS = "losses/total"
# The group of the metrics that `evaluate` returns.
HOLDOUT_GROUP = "holdout"
# Groups of the metrics that the core itself measures.
CORE_GROUPS = frozenset(
    {
        *("arena", "collect", "judge", "learner", "memory", "replay", "speed", "store", "time"),
        *("evaluator", "time_actors"),
    }
)
# Counts that the core itself keeps; an actor's take_metrics must not return them.
CORE_COUNTS = frozenset(
    {
        *("episodes", "samples_generated", "samples_trained", "updates"),
        *("seconds_waiting_for_rank", "seconds_waiting_for_weights"),
        *("evaluator_seconds", "evaluator_seconds_up", "evaluator_positions", "evaluator_batches"),
    }
)

GameKind = TypeVar("GameKind", Game, TeamGame, contravariant=True)


class RunProgress(NamedTuple):
    """How far a run has come. minutes: of training. fraction: the share of the run that is done, 0 without a limit."""

    learner_step: int
    minutes: float
    fraction: float


class Grown(NamedTuple):
    """Weights of larger networks that compute the function of smaller ones.

    settings: those that describe the larger networks, by dotted keys. sentence: about the growth, for the user.
    """

    weights: Tensors
    settings: dict[str, Any]
    sentence: str


class TensorFacts(NamedTuple):
    """A tensor as other programs exchange it with a network. shape: of one position. meaning: for people."""

    name: str
    shape: tuple[int, ...]
    meaning: str


class Exportable(NamedTuple):
    """A trained network for other programs (`ddpzero export`), in evaluation mode on the CPU.

    network: float32 `[B, *input.shape]` -> a tuple of float32 `[B, *shape]`, one for each of outputs. The first output
    has the logits of the actions.
    sample_inputs: returns the inputs of so many random positions, by which the exported network is checked.
    facts: what a card says about the network, as nested dicts of plain values: its kind and size, its use in play.
    """

    network: torch.nn.Module
    input: TensorFacts
    outputs: tuple[TensorFacts, ...]
    sample_inputs: Callable[[int, np.random.Generator], torch.Tensor]
    facts: dict[str, Any]


class Updater(Protocol):
    """Trains networks on batches. Each rank has one; all ranks hold equal parameters after every update."""

    def update(self, batch: Tensors, learning_rate: float) -> Tensors:
        """Make one optimizer step and return metrics, LOSS among them.

        batch: the columns of the sample spec, `[batch_size, ...]`, on the training device.
        learning_rate: of this step, at least 0; it follows the schedule of `learner`.
        Returns tensors without dimensions on the training device, named "group/name". Must not wait for the device.
        Updates may return different names (an actor that is updated every second time), but from a fixed set.
        """
        ...

    def released_weights(self) -> Tensors:
        """Return the weights that checkpoints store for players, and for runs that start from them (init_from)."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that a resumed run needs to continue bit by bit.

        Nested dicts and lists of tensors and numbers: `torch.load(..., weights_only=True)` must be able to read it.
        """
        ...

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        """Continue from the state in a checkpoint; return a warning for each part that does not fit and starts over.

        state: what `state` returned, but possibly with another config or another version of the plugin, or forged.
        Raises ValueError, KeyError or TypeError if it is unusable; the core then tries an older checkpoint.
        """
        ...


@runtime_checkable
class CompleteUpdater(Updater, Protocol):
    """An updater with all optional methods."""

    def actor_weights(self) -> Tensors:
        """Return the weights that actors play with, and other tensors that they need, such as an exploration rate.

        Names, shapes and dtypes are always those of one of `possible_actor_weights`. Default: the released weights.
        """
        ...

    def possible_actor_weights(self) -> list[Tensors]:
        """Return examples of the actor weights of all sizes that the networks may have during a run.

        Only names, shapes and dtypes count; the tensors may be on the device "meta". Default: the actor weights.
        """
        ...

    def grow(self, progress: RunProgress, seed: int) -> str:
        """Make the networks larger, without a change of their function, if the settings say so at this point of a run.

        Called at each end of an epoch by all ranks together, with equal arguments. seed: of new weights. Returns a
        sentence about the growth for the log, "" for none. Default: "".
        """
        ...

    def take_size_of(self, weights: Tensors) -> None:
        """Give the networks the size that they have in these released weights, if it is one of a run's sizes.

        Called before `load_state`, by all ranks together. Parameters may take any values. Default: nothing.
        """
        ...

    def size_tag(self) -> str:
        """Return what takes the place of `model_tag` in the names of models once networks have grown.

        Default: "", which stands for `model_tag`.
        """
        ...

    def set_self_play(self, fraction_done: float, effort: float) -> None:
        """Prepare the next `actor_weights`; called before each publish.

        fraction_done: the share of the run that is done, 0..1; 0 if the run has no limit. effort: the work that actors
        should spend on a sample, as a multiple of what the settings say; 1 unless the core balances actors and learner.
        Both are equal on every rank. Default: ignore both.
        """
        ...

    def start_from(self, weights: Tensors) -> None:
        """Start a new run from the released weights of another one (init_from).

        weights: same names and shapes as this updater's `released_weights`. Default: raise UserError.
        """
        ...

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Reduce the infos of finished episodes to counts that can be summed over ranks; the keys never change.

        Default: no counts; then apply_results is not called.
        """
        ...

    def apply_results(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Learn from the counts, summed over all ranks and equal on every rank; return metrics. Default: none."""
        ...

    def accumulates_gradients(self) -> bool:
        """Return whether `update` sends learner.gradient_accumulation equal parts of a batch through the networks, one
        after the other, and makes the step of the whole batch; updates.py helps to do so.

        Default: False; the core then refuses to start with more than one part.
        """
        ...

    def skipped_in_a_row(self) -> int:
        """Return how many of the latest updates in a row were skipped because loss or gradient was not finite.

        Equal on every rank. May wait for the device. Default: 0.
        """
        ...

    def is_trainable(self, batch: Tensors) -> bool:
        """Return whether training can continue; called before each checkpoint and when training may have diverged.

        False if an update on this batch would be skipped, or if the released weights give outputs that are not finite
        or far too large. Must not change the updater. All ranks call it together: the gradient is averaged over ranks,
        the outputs are those of this rank. Default: True.
        """
        ...

    def evaluate(self, batch: Tensors) -> Tensors:
        """Return the losses on a batch of held-out samples, as metrics "holdout/name"; must not change the updater.

        batch: as for `update`, of episodes that are never trained on (learner.holdout_fraction). Use the weights in
        training, not an average of them: then the difference from the losses of `update` is over-fitting alone. Each
        rank calls it for itself, so use the networks as they were before `wrap`. Must not wait for the device.
        Default: no metrics; then no episodes are held out.
        """
        ...


class Algorithm(Protocol):
    """The algorithm for one game, with its settings."""

    @property
    def game(self) -> Game | TeamGame: ...

    def sample_spec(self) -> SampleSpec:
        """Return the fields of one sample: name -> shape, dtype and description.

        One field must be `weights_version`, an int32 scalar: the version of the weights that the sample was played
        with. Fields may declare limits and sums; they are checked when samples are restored from a checkpoint.
        """
        ...

    def make_networks(self) -> Networks:
        """Return new networks by name, with initial parameters sampled from torch's global generator."""
        ...

    def make_updater(
        self,
        networks: Networks,
        wrap: Wrap,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> Updater:
        """Return the updater of one rank.

        networks: the result of `make_networks`, on the CPU and equal on all ranks.
        wrap: DistributedDataParallel, or the identity for a single rank. Every forward pass with a gradient must go
            through the wrapped network, which averages the gradients over ranks.
        device: the training device. seed: for random numbers of this rank; different on each rank.
        """
        ...

    def actor_spec(self, actors: ActorSettings, device: str) -> ActorSpec:
        """Return how to make this plugin's actor in a new process.

        device: where the actor evaluates networks, such as "cpu" or "cuda:0". The actor loads the game from
        `game.arguments`.
        """
        ...

    def make_player(
        self, weights: Tensors, name: str, *args: Any, **overrides: Any
    ) -> Player | TeamPlayer:
        """Return a player with released weights: a Player for a Game, a TeamPlayer for a TeamGame.

        name: the player's name in matches. overrides: an implementation declares the keyword parameters that it
        supports of `device="cpu"` and `num_simulations=None`. The core passes only declared ones, and refuses a user's
        number of simulations if `num_simulations` is not declared. Raises TypeError or UserError for others.
        """
        ...


@runtime_checkable
class CompleteAlgorithm(Algorithm, Protocol):
    """An algorithm with all optional methods."""

    def make_updater(
        self,
        networks: Networks,
        wrap: Wrap,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> CompleteUpdater: ...

    def model_tag(self) -> str:
        """Return the size of the networks as a part of model names, such as "b3c48". Default: "own"."""
        ...

    def fits(self, game: Game | TeamGame) -> bool:
        """Return whether networks trained on this algorithm's game can also play `game`.

        `game` may be the same game with a board of another size. Default: False.
        """
        ...

    def grow(self, weights: Tensors, changes: Mapping[str, int], seed: int) -> Grown:
        """Make networks larger without a change of their function (`ddpzero grow`).

        weights: released by a run of this algorithm. changes: settings of the larger networks, by dotted keys
        ("network.blocks"). seed: of new weights. Raises UserError for impossible changes. Default: raise UserError.
        """
        ...

    def exportable(self, weights: Tensors, name: str) -> Exportable:
        """Return the network of released weights as other programs run it (`ddpzero export`).

        name: of the model, for errors. Raises UserError for weights that do not fit. Default: raise UserError.
        """
        ...

    def memory_needs(
        self,
        actors: ActorSettings,
        num_actors: int,
        learner: LearnerSettings,
        on_gpu: bool,
        actors_on_gpu: bool,
    ) -> list[Need]:
        """Estimate the memory of one rank for its networks and of its num_actors actors for everything they hold.

        Must not allocate that memory. The core adds the replay buffer and the processes. on_gpu: whether the learner
        trains on a GPU; actors_on_gpu: whether actors evaluate on one. Default: no needs.
        """
        ...

    def evaluator_spec(
        self,
        actors: ActorSettings,
        device: str,
        simulated: SimulatedSettings | None,
        is_repeatable: bool,
    ) -> EvaluatorSpec | None:
        """Return how to make the process that evaluates what all actors of a rank ask; see actors/evaluator.py.

        Actors then get its exchange. simulated: of a device that is to be simulated instead of `device`. is_repeatable:
        the answer to a request may not depend on which others arrive. Default: None, each actor evaluates by itself.
        """
        ...

    def summarize_episodes(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Return metrics of the episodes that this rank inserted since the last row, such as their mean length.

        infos: `Episode.info` of each; may be empty. The core averages the metrics over ranks. Default: none.
        """
        ...

    def summary_line(self, metrics: Mapping[str, float]) -> str:
        """Summarize a row of metrics for the console in a few words. Default: ""."""
        ...

    def can_show(self, info: Mapping[str, Any]) -> bool:
        """Return whether describe_episode and film_episode accept this finished episode. Default: False."""
        ...

    def describe_episode(self, info: Mapping[str, Any]) -> str:
        """Return a finished episode as text for the user; called only if `can_show` is true. Default: ""."""
        ...

    def facts_of_episode(self, info: Mapping[str, Any]) -> EpisodeFacts | None:
        """Return what tools show of a finished episode; None if that is unknown (default).

        info: may come from a file: raises ValueError, TypeError or KeyError if it is not one of this plugin's.
        """
        ...

    def problem_of_episode(self, info: Mapping[str, Any], columns: Mapping[str, np.ndarray]) -> str:
        """Return what proves that this plugin cannot have played an episode; "" for nothing (default).

        It is the rest of a sentence that begins with "the episode": "has an illegal move 3.".

        info, columns: of an Episode, from a file or from another machine; the columns and their values fit the sample
        spec. Moves are to be played again by the rules.
        """
        ...

    def settings_for_checks(self) -> dict[str, Any] | None:
        """Return the settings, by dotted keys, with which every episode is played so that problem_of_episode checks its
        result; None if episodes of this plugin cannot be checked (default). Then no volunteers can play them.
        """
        ...

    def film_episode(self, info: Mapping[str, Any]) -> list[np.ndarray]:
        """Return a finished episode as images `[height, width, 3]` uint8, one per position; [] for none (default).

        Called only if `can_show` is true.
        """
        ...


class PluginModule(Protocol[GameKind]):
    """The type of a plugin's module, for the type checker. GameKind: the class of the games that it plays."""

    @property
    def GAME_KIND(self) -> type: ...

    @property
    def SECTIONS(self) -> Mapping[str, type]: ...

    def make_algorithm(self, game: GameKind, sections: Mapping[str, Any]) -> Algorithm: ...

    def check(self, settings: Settings, game: GameKind) -> None: ...

    def ignored(self, settings: Settings, game: GameKind) -> dict[str, str]: ...
