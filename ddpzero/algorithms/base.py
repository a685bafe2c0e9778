"""The contract between the core and a plugin. The core knows processes, ranks, replay storage, weights transport,
checkpoints, logs and matches; everything about learning is behind this contract.

A plugin is a module that Python can import (`algorithm.plugin`) or a .py file (`algorithm.source`) with three names:

    GAME_KIND = Game                          what it plays: Game or TeamGame, from ddpzero.games
    SECTIONS: dict[str, type]                 the config sections that it reads, each with its dataclass; "algorithm"
                                              is its own yaml without `plugin` and `source`
    make_algorithm(game, sections)            returns an Algorithm for one game; sections: name -> instance of its class

and it may have three more:

    check(settings, game)                     raises UserError for settings that do not go together, or for a game of
                                              its kind that it cannot play
    ignored(settings, game)                   returns the settings that have no effect under the others, with reasons:
                                              {"learner.optimizer": "..."}; the user is told of those that were changed
    METRICS: dict[str, MetricInfo]            kind, unit and description of what it measures, in the order in which a
                                              person wants to see it (system/metric_info.py)

Importing it should be cheap, without torch: every command that reads a config of this plugin imports it. A plugin in
one file may import torch; then those commands take a second longer.

`Algorithm`, `Updater` and the player (games/core/players.py) are what a plugin must have. `CompleteAlgorithm` and
`CompleteUpdater` add what it may have; for what a plugin leaves out, the core uses defaults.py.
`ddpzero verify algorithm` tests a plugin against all of this.

Metrics have names "group/name"; TensorBoard and the monitor group them. `Updater.update` returns LOSS, which the
progress line shows. The groups in CORE_GROUPS belong to the core. METRICS declares what it can; a metric that it leaves
out is a mean, and a count of the actors that it leaves out becomes a rate, speed/<count>_per_second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from ddpzero.games import Game, TeamGame

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ddpzero.actors import ActorSpec
    from ddpzero.games.core.players import Player, TeamPlayer
    from ddpzero.replay import SampleSpec
    from ddpzero.settings import ActorSettings, LearnerSettings, Settings
    from ddpzero.system.memory import Need

    Tensors = dict[str, torch.Tensor]
    Networks = dict[str, torch.nn.Module]
    Wrap = Callable[[torch.nn.Module], torch.nn.Module]

# The loss that an updater minimizes, or the one that says most about its progress.
LOSS = "losses/total"
CORE_GROUPS = frozenset({"learner", "memory", "replay", "speed", "time", "time_actors"})

GameKind = TypeVar("GameKind", Game, TeamGame, contravariant=True)


class Updater(Protocol):
    """Turns batches into better networks. One per rank; all ranks hold equal parameters after every update."""

    def update(self, batch: Tensors, learning_rate: float) -> Tensors:
        """One optimizer step on a batch on the training device; returns metrics as scalars there, without a sync.

        LOSS is among them. Names may alternate from update to update but come from a fixed set.
        """
        ...

    def released_weights(self) -> Tensors:
        """What a checkpoint releases for players."""
        ...

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs: nested dicts and lists of tensors and numbers (torch.load weights_only)."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> list[str]:
        """Continue from a checkpoint's state. Returns a sentence for each part that starts over as it does not fit.

        `state` may be of another config, another version, or forged: ValueError, KeyError or TypeError for one that is
        of no use, and then the run continues from an older checkpoint.
        """
        ...


@runtime_checkable
class CompleteUpdater(Updater, Protocol):
    """An updater with all that it may say."""

    def actor_weights(self) -> Tensors:
        """What actors play with, and what else they must be told. Default: the released weights."""
        ...

    def start_from(self, weights: Tensors) -> None:
        """Begin a new run (init_from) with released weights, of the same names and shapes as this updater's own.

        Default: UserError, the algorithm cannot.
        """
        ...

    def count_results(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Reduce the infos of finished episodes to counts that can be summed over ranks; the keys never change.

        Default: no counts; then apply_results is not called.
        """
        ...

    def apply_results(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Take in the counts summed over all ranks, the same at each of them; returns metrics. Default: none."""
        ...

    def skipped_in_a_row(self) -> int:
        """How many of the newest updates changed nothing, since their loss or gradient was not finite; waits for the
        device. The same at every rank. Default: 0."""
        ...

    def is_trainable(self, batch: Tensors) -> bool:
        """Whether an update on this batch would not be skipped, and what is released gives outputs of a usable size.

        Changes nothing. All ranks call it together: the gradient is that of all ranks, the outputs are this rank's.
        Default: True.
        """
        ...


class Algorithm(Protocol):
    """A plugin bound to one game and its settings."""

    @property
    def game(self) -> Game | TeamGame: ...

    def sample_spec(self) -> SampleSpec:
        """Names, shapes and dtypes of one sample; `weights_version` int32 is always among them.

        Limits and sums, where fields have them, are checked when a checkpoint's samples are restored.
        """
        ...

    def make_networks(self) -> Networks:
        """New networks with initial parameters sampled from torch's global generator."""
        ...

    def make_updater(
        self,
        networks: Networks,
        wrap: Wrap,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> Updater:
        """wrap: DistributedDataParallel, or the identity with one rank. seed: of this rank's own random numbers."""
        ...

    def actor_spec(self, actors: ActorSettings, device: str) -> ActorSpec:
        """How to make this plugin's actor in a new process; `game.arguments` load the game there."""
        ...

    def make_player(
        self, weights: Tensors, name: str, *args: Any, **overrides: Any
    ) -> Player | TeamPlayer:
        """A player with released weights: a Player in a board game, else a TeamPlayer.

        It has those of the keywords device="cpu" and num_simulations=None that mean something to it: the core passes no
        others, and refuses a person's number of simulations where the player does not search.
        """
        ...


@runtime_checkable
class CompleteAlgorithm(Algorithm, Protocol):
    """An algorithm with all that it may say."""

    def make_updater(
        self,
        networks: Networks,
        wrap: Wrap,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> CompleteUpdater: ...

    def model_tag(self) -> str:
        """The size of the networks for a model's name, "b3c48". Default: "own"."""
        ...

    def fits(self, game: Game | TeamGame) -> bool:
        """Whether networks trained on this game also play `game`: the same one with a board of another size.

        Default: no.
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
        """What one rank needs for its networks, and num_actors actors for all they hold; allocates nothing of it.

        on_gpu: the learner trains on a GPU; actors_on_gpu: actors evaluate on one. Default: nothing.
        """
        ...

    def summarize_episodes(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Metrics from the infos of the episodes that finished since the last row (length, shares of results, ...).

        Default: none.
        """
        ...

    def summary_line(self, metrics: Mapping[str, float]) -> str:
        """What a person wants to know first of a row of metrics, in a few words for the console. Default: ""."""
        ...

    def can_show(self, info: Mapping[str, Any]) -> bool:
        """Whether a finished episode is one to describe and to film. Default: no."""
        ...

    def describe_episode(self, info: Mapping[str, Any]) -> str:
        """A finished episode as text for a person; one of those that can be shown. Default: ""."""
        ...

    def film_episode(self, info: Mapping[str, Any]) -> list[np.ndarray]:
        """The same as pictures `[height, width, 3]` uint8, one for each step. Default: none."""
        ...


class PluginModule(Protocol[GameKind]):
    """A plugin's module as the type checker sees it; GameKind: the class of the games that it plays."""

    @property
    def GAME_KIND(self) -> type: ...

    @property
    def SECTIONS(self) -> Mapping[str, type]: ...

    def make_algorithm(self, game: GameKind, sections: Mapping[str, Any]) -> Algorithm: ...

    def check(self, settings: Settings, game: GameKind) -> None: ...

    def ignored(self, settings: Settings, game: GameKind) -> dict[str, str]: ...
