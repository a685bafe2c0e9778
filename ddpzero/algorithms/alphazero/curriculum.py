"""A curriculum: the boards and numbers of simulations of each stage of training.

    stages:   until_step 100000   9 x 9, 200 simulations
              until_step 500000   13 x 13, 400 simulations, 80 % of the episodes; 9 x 9, 20 %
              to the end          19 x 19, 800 simulations

The config's `game` is the frame: its board is the largest one, and samples and network have its size. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ddpzero.games import Game, variation
from ddpzero.games.core.embedding import BoardEmbedding, embed_board
from ddpzero.system.errors import UserError, require, require_at_least, require_at_most

# The name of the stage among the weights that actors receive.
STAGE = "curriculum.stage"


@dataclass(frozen=True)
class BoardSettings:
    """The settings of one board in a stage.

    game: the parameters in which the board differs from the config's game, such as `size: 9`.
    num_simulations: per move; None: search.num_simulations.
    share: of the stage's episodes, relative to the shares of the stage's other boards.
    """

    game: dict[str, Any] = field(default_factory=dict)
    num_simulations: int | None = None
    share: float = 1.0


@dataclass(frozen=True)
class StageSettings:
    """The settings of one stage. It ends before update until_step; None: with the end of training."""

    boards: list[BoardSettings]
    until_step: int | None = None


@dataclass(frozen=True)
class CurriculumSettings:
    """The settings in conf/curriculum/*.yaml. No stages: the config's game throughout training."""

    stages: list[StageSettings] = field(default_factory=list)

    def __post_init__(self) -> None:
        last_step = 0
        for index, stage in enumerate(self.stages):
            path = f"curriculum.stages[{index}]"
            is_last = index == len(self.stages) - 1
            require(
                is_last == (stage.until_step is None),
                f"{path}.until_step={'null' if stage.until_step is None else stage.until_step}: all stages but the "
                "last need one, and the last must have none, since it lasts to the end of training.",
            )
            require(
                stage.until_step is None or stage.until_step > last_step,
                f"{path}.until_step={stage.until_step} must be above {last_step}, where the stage begins.",
            )
            last_step = stage.until_step or last_step
            require(len(stage.boards) > 0, f"{path}.boards=[] plays nothing: name at least one.")
            for number, board in enumerate(stage.boards):
                where = f"{path}.boards[{number}]"
                require(board.share > 0, f"{where}.share={board.share} must be positive.")
                require_at_least(where, board, {"share": 1e-6})
                require_at_most(where, board, {"share": 1_000_000})
                require(
                    board.num_simulations is None or board.num_simulations >= 0,
                    f"{where}.num_simulations={board.num_simulations} must be 0 or more, or null.",
                )


@dataclass(frozen=True)
class Part:
    """One board of a stage. board: index in Curriculum.embeddings. share: of the stage's episodes, 0..1."""

    board: int
    num_simulations: int
    share: float


class Curriculum:
    """The stages, with their games loaded.

    frame: the config's game. embeddings: each distinct board and its place in the frame. stages: the parts of each.
    num_simulations: of boards without their own number.
    """

    def __init__(self, settings: CurriculumSettings, frame: Game, num_simulations: int):
        """num_simulations: default for boards without their own. Raises UserError for a board that does not fit."""
        self.frame = frame
        self.num_simulations = num_simulations
        self._ends = [stage.until_step for stage in settings.stages[:-1]]
        embeddings: list[BoardEmbedding] = []
        self.stages: list[list[Part]] = []
        stages = settings.stages or [StageSettings([BoardSettings()])]
        for stage_number, stage in enumerate(stages):
            total = sum(board.share for board in stage.boards)
            parts = []
            for number, board in enumerate(stage.boards):
                path = f"curriculum.stages[{stage_number}].boards[{number}]"
                game = _variation(frame, board.game, path)
                known = [embedding.board.parameters for embedding in embeddings]
                if game.parameters not in known:
                    known.append(game.parameters)
                    embeddings.append(_embedding(game, frame, path))
                simulations = board.num_simulations
                parts.append(
                    Part(
                        known.index(game.parameters),
                        num_simulations if simulations is None else simulations,
                        board.share / total,
                    )
                )
            self.stages.append(parts)
        self.embeddings = tuple(embeddings)

    @cached_property
    def most_parts(self) -> int:
        """The largest number of parts of a stage."""
        return max(len(parts) for parts in self.stages)

    @cached_property
    def has_padded_boards(self) -> bool:
        """Whether some board is smaller than the frame, so that samples must store the index of their board."""
        return len(self.embeddings) > 1 or not self.embeddings[0].fills_frame

    def stage_at(self, learner_step: int) -> int:
        """Return the index of the stage of update `learner_step`."""
        return sum(end is not None and learner_step >= end for end in self._ends)

    def describe(self, stage: int) -> str:
        """Return a summary: "stage 2 of 3: 80 % 13x13 with 400 simulations, 20 % 9x9 with 200 simulations"."""
        parts = ", ".join(
            f"{100 * part.share:.0f} % {self.label(part.board)} with {part.num_simulations} simulations"
            for part in self.stages[stage]
        )
        return f"stage {stage + 1} of {len(self.stages)}: {parts}"

    def label(self, board: int) -> str:
        """Return a name for a board, from its shape: "9x9"."""
        height, width = self.embeddings[board].board.board_shape
        return f"{height}x{width}"


def _variation(frame: Game, changes: Mapping[str, Any], path: str) -> Game:
    try:
        return variation(frame, **changes)
    except ValueError as error:
        raise UserError(f"{path}.game: {error}") from None


def _embedding(board: Game, frame: Game, path: str) -> BoardEmbedding:
    try:
        return embed_board(board, frame)
    except ValueError as error:
        raise UserError(f"{path}.game: {error}") from None
