"""What a plugin says to the core. The core knows processes, ranks, replay storage, weights transport, checkpoints,
logs and matches; everything about learning is behind this contract.

A plugin is a module (conf/algorithm/<name>.yaml: `plugin: package.module`) with two names:

    SECTIONS: dict[str, type]            the config sections that it reads, each with its dataclass;
                                         "algorithm" is its own yaml without `plugin`
    make_algorithm(sections) -> Algorithm   sections: name -> instance of that dataclass

It may have a third: check(settings) raises UserError for settings that do not go together, a game that the plugin
cannot play among them.

And a fourth: ignored(settings) returns the settings that have no effect under the others, {"learner.optimizer":
"reason"}: of those that are not at their defaults the user is told.

A fifth: METRICS: dict[str, MetricInfo] declares kind, unit and description of what the plugin measures, by tag, in the
order in which a person wants to see it (system/metric_info.py). A metric that is not declared is a mean; a count of the
actors that no metric is declared of becomes a rate, speed/<count>_per_second.

Importing that module must stay cheap (no torch): the config is checked before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ddpzero.actors import ActorSpec
    from ddpzero.games.core.players import Player, TeamPlayer
    from ddpzero.replay import SampleSpec
    from ddpzero.settings import ActorSettings, LearnerSettings
    from ddpzero.system.memory import Need

    Tensors = dict[str, torch.Tensor]
    Wrap = Callable[[torch.nn.Module], torch.nn.Module]


class Updater(Protocol):
    """Turns batches into better networks. One per rank; all ranks hold equal parameters after every update."""

    def update(self, batch: Tensors, learning_rate: float) -> Tensors:
        """One optimizer step on a batch on the training device; returns scalars on that device, without a sync."""
        ...

    def skipped_in_a_row(self) -> int:
        """How many of the newest updates changed nothing, since their loss or gradient was not finite; waits for the
        device. The same at every rank."""
        ...

    def is_trainable(self, batch: Tensors) -> bool:
        """Whether an update on this batch would not be skipped, and what is released gives outputs of a usable size.

        Changes nothing. For all ranks together: the gradient is that of all ranks, the outputs are this rank's alone.
        """
        ...

    def tally(self, infos: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """Count what this updater wants to know of finished episodes, told by their infos; always the same names."""
        ...

    def take_tally(self, counts: Mapping[str, float]) -> dict[str, float]:
        """Take in the counts of all ranks, the same on each of them; returns scalars for TensorBoard."""
        ...

    def actor_weights(self) -> Tensors:
        """What actors play with (the moving average, where there is one), and what else they must be told."""
        ...

    def released_weights(self) -> Tensors:
        """What a checkpoint releases for players."""
        ...

    def start_from(self, weights: Tensors) -> None:
        """Begin a new run with released weights, of the same names and shapes as this updater's own."""
        ...

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs: nested dicts and lists of tensors and numbers (torch.load weights_only)."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> list[str] | None:
        """Go on from a checkpoint's state. Returns a sentence for each part that begins anew as it does not fit.

        `state` may be of another config, another version, or forged: ValueError, KeyError or TypeError for one that is
        of no use, and then the run goes on from an older checkpoint.
        """
        ...


class Algorithm(Protocol):
    """A plugin with its settings. `game` is a Game or a TeamGame, of the kind that the plugin's `check` admits."""

    def sample_spec(self, game: Any) -> SampleSpec:
        """Names, shapes and dtypes of one sample; `weights_version` int32 is always among them.

        Limits and sums, where fields have them, are checked when a checkpoint's samples are restored.
        """
        ...

    def make_networks(self, game: Any) -> dict[str, torch.nn.Module]:
        """New networks with initial parameters drawn from torch's global generator."""
        ...

    def fits(self, trained: Any, game: Any) -> bool:
        """Whether networks trained on one game also play another: the same one with a board of another size."""
        ...

    def model_tag(self) -> str:
        """The size of the networks for a model's name: "b3c48"."""
        ...

    def memory_needs(
        self,
        game: Any,
        actors: ActorSettings,
        num_actors: int,
        learner: LearnerSettings,
        on_gpu: bool,
        actors_on_gpu: bool,
    ) -> list[Need]:
        """What one rank needs for its networks, and num_actors actors for all they hold; allocates nothing of it.

        on_gpu: the learner trains on a GPU; actors_on_gpu: actors evaluate on one. A plugin may do without this method.
        """
        ...

    def make_updater(
        self,
        game: Any,
        networks: dict[str, torch.nn.Module],
        wrap: Wrap,
        learner: LearnerSettings,
        device: torch.device,
        seed: int,
    ) -> Updater:
        """wrap: DistributedDataParallel, or the identity with one rank. seed: of this rank's own random draws."""
        ...

    def actor_spec(
        self,
        game_arguments: Mapping[str, Any],
        actors: ActorSettings,
        device: str,
    ) -> ActorSpec:
        """How to make this plugin's actor in a new process. game_arguments: of `load_game`."""
        ...

    def make_player(
        self, game: Any, weights: Tensors, name: str, **overrides: Any
    ) -> Player | TeamPlayer:
        """A player with released weights; overrides: settings for play, such as num_simulations=100."""
        ...

    def summarize_episodes(self, game: Any, infos: list[dict[str, Any]]) -> dict[str, float]:
        """Scalars for TensorBoard from the finished episodes' infos (length, outcome shares, ...)."""
        ...

    def headline(self, game: Any, scalars: Mapping[str, float]) -> str:
        """What a person wants to know first of a row of scalars, in a few words for the console; "" for nothing."""
        ...

    def can_show(self, info: dict[str, Any]) -> bool:
        """Whether a finished episode is one to describe and to film."""
        ...

    def describe_episode(self, game: Any, info: dict[str, Any]) -> str:
        """A finished episode as text for a person; one of those that can be shown."""
        ...

    def film_episode(self, game: Any, info: dict[str, Any]) -> list[np.ndarray]:
        """The same as pictures `[height, width, 3]` uint8, one for each step; none of games that are told as text."""
        ...
