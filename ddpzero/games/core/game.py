"""A board game as the other packages use it: sizes, names, text, and its rules for single positions.

All fast code uses `game.rules` in compiled functions; the methods here are for tools, tests and people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np

from ddpzero.games.core import single
from ddpzero.games.core.contract import Rules
from ddpzero.games.core.geometry import Geometry, plain_geometry, problem_of_geometry
from ddpzero.games.core.promises import NO_LEGAL_ACTION, broken_promise, require_no_fault
from ddpzero.games.core.spec import GameSpec
from ddpzero.system.errors import in_one_line


@dataclass(frozen=True)
class Game:
    """One game with fixed parameters. Letters as in GameSpec.

    source: of a game from outside the tree, as given: the path of its file, or its module; None for a game of ddpzero.
    """

    name: str
    source: str | None
    module: ModuleType
    parameters: Any
    spec: GameSpec
    rules: Rules

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `load_any_game` that make the same game in another process: name, source and parameters."""
        return {"name": self.name, "source": self.source, **asdict(self.parameters)}

    @property
    def num_actions(self) -> int:
        return self.spec.num_actions

    @property
    def num_planes(self) -> int:
        return self.spec.num_planes

    @property
    def num_inputs(self) -> int:
        """Number of planes of a network's input: those of the observation, and one for each global."""
        return self.spec.num_planes + self.spec.num_globals

    @property
    def board_shape(self) -> tuple[int, int]:
        return self.spec.board_shape

    @property
    def observation_size_bytes(self) -> int:
        """Bytes of one observation: the bit-packed planes, ceil(C * H * W / 8), then one byte for each global."""
        return self.planes_size_bytes + self.spec.num_globals

    @property
    def planes_size_bytes(self) -> int:
        height, width = self.spec.board_shape
        return (self.spec.num_planes * height * width + 7) // 8

    @property
    def num_cells(self) -> int:
        """Number of entries of `board`: cells, or what else the players own in this game."""
        return self.board(self.initial_position()).size

    @property
    def has_score(self) -> bool:
        """Whether the rules count points."""
        return hasattr(self.module, "score")

    @property
    def has_ownership(self) -> bool:
        """Whether the rules define the owner of each cell at the end."""
        return hasattr(self.module, "ownership")

    @property
    def owner_cells(self) -> np.ndarray | None:
        """Cells `[B]` whose final owner a network can predict; None for a game without such cells."""
        if not self.has_ownership:
            return None
        num_cells = self.spec.cell_symmetries.shape[1]
        if self.spec.owner_cells is None and self.num_cells == num_cells:
            return np.arange(num_cells, dtype=np.int32)
        return self.spec.owner_cells

    def new_positions(self, num_positions: int) -> np.ndarray:
        """Return `[n, P]` start positions."""
        positions = np.empty(
            (num_positions, self.spec.position_size), dtype=self.spec.position_dtype
        )
        for position in positions:
            single.initial_position(self.rules, position)
        return positions

    def initial_position(self) -> np.ndarray:
        return self.new_positions(1)[0]

    def random_positions(
        self, num_positions: int, rng: np.random.Generator, max_plies: int = 8
    ) -> np.ndarray:
        """Return positions `[n, P]` after 0 to max_plies uniformly random plies; none of them is terminal."""
        positions: list[np.ndarray] = []
        while len(positions) < num_positions:
            position = self.initial_position()
            for _ in range(rng.integers(max_plies + 1)):
                if not self.is_terminal(position):
                    action = rng.choice(self.possible_actions(position))
                    position = self.apply_action(position, int(action))
            if not self.is_terminal(position):
                positions.append(position)
        return np.stack(positions)

    def require_positions(self, positions: np.ndarray) -> None:
        """Raise ValueError unless this is `[n, P]` of the game's dtype. Compiled code checks neither."""
        spec = self.spec
        if positions.shape[1:] != (spec.position_size,) or positions.dtype != spec.position_dtype:
            raise ValueError(
                f"positions of {self.name} are {spec.position_dtype}[n, {spec.position_size}], not "
                f"{positions.dtype}{list(positions.shape)}."
            )

    def require_running(self, positions: np.ndarray) -> None:
        """Raise ValueError unless these are positions `[n, P]` that are not terminal."""
        self.require_positions(positions)
        for index, position in enumerate(positions):
            if single.is_terminal(self.rules, position):
                raise ValueError(f"position {index} is terminal: in {self.name} the game is over.")

    def legal_actions(self, position: np.ndarray) -> np.ndarray:
        """Return `[A]` bool, True = legal."""
        self.require_positions(position[None])
        legal = np.empty(self.num_actions, dtype=np.bool_)
        single.legal_actions(self.rules, position, legal)
        return legal

    def possible_actions(self, position: np.ndarray) -> np.ndarray:
        """Return the indices of the legal actions of a position that is not terminal.

        Raises GamePromiseError if there are none.
        """
        actions = np.flatnonzero(self.legal_actions(position))
        if not len(actions):
            require_no_fault(self, NO_LEGAL_ACTION)
        return actions

    def apply_action(self, position: np.ndarray, action: int) -> np.ndarray:
        """Return the position after a legal action, as a new array. Raises ValueError if the action is not legal."""
        is_index = isinstance(action, (int, np.integer)) and 0 <= action < self.num_actions
        if not (is_index and self.legal_actions(position)[action]):
            raise ValueError(f"action {action} is not legal in this position of {self.name}.")
        successor = position.copy()
        single.apply_action(self.rules, successor, action)
        return successor

    def current_player(self, position: np.ndarray) -> int:
        self.require_positions(position[None])
        return int(single.current_player(self.rules, position))

    def is_terminal(self, position: np.ndarray) -> bool:
        self.require_positions(position[None])
        return bool(single.is_terminal(self.rules, position))

    def returns(self, position: np.ndarray) -> np.ndarray:
        """Return `[2]` float32, each player's result of a terminal position."""
        self.require_positions(position[None])
        return np.array(
            [single.player_return(self.rules, position, player) for player in (0, 1)],
            dtype=np.float32,
        )

    def score(self, position: np.ndarray) -> int:
        """Return the first player's points minus the second's in a terminal position; needs `has_score`."""
        self.require_positions(position[None])
        return int(single.score(self.rules, position))

    def ownership(self, position: np.ndarray) -> np.ndarray:
        """Return `[cells]` int8 of a terminal position: 1 first player, -1 second, 0 neither; needs `has_ownership`."""
        self.require_positions(position[None])
        owners = np.zeros(self.num_cells, dtype=np.int8)
        single.ownership(self.rules, position, owners)
        return owners

    def observation(self, position: np.ndarray) -> np.ndarray:
        """Return `[C, H, W]` uint8 0/1, from the mover's side."""
        self.require_positions(position[None])
        planes = np.zeros((self.num_planes, *self.board_shape), dtype=np.uint8)
        single.observe(self.rules, position, planes.reshape(-1))
        return planes

    def observed_globals(self, position: np.ndarray) -> np.ndarray:
        """Return `[F]` int8, from the mover's side."""
        self.require_positions(position[None])
        numbers = np.zeros(self.spec.num_globals, dtype=np.int8)
        single.observe_globals(self.rules, position, numbers)
        return numbers

    def packed_observation(self, position: np.ndarray) -> np.ndarray:
        """Return `[observation_size_bytes]` uint8, as evaluators and samples use it: packed planes, then globals."""
        planes = np.packbits(self.observation(position), bitorder="little")
        return np.concatenate([planes, self.observed_globals(position).view(np.uint8)])

    def board(self, position: np.ndarray) -> np.ndarray:
        """Return `[cells]` uint8: 0 empty, 1 first player, 2 second player."""
        board = np.asarray(self._ask("board", position))
        if board.ndim != 1 or not np.isin(board, (0, 1, 2)).all():
            raise broken_promise(
                self, "board must be a row of 0 (empty), 1 (first player) and 2 (second player)."
            )
        return board.astype(np.uint8)

    def winning_cells(self, position: np.ndarray) -> list[int]:
        """Return the cells of `board` that won a terminal position; empty if the game does not define them."""
        if not hasattr(self.module, "winning_cells"):
            return []
        cells = self._ask("winning_cells", position)
        if not (isinstance(cells, (list, tuple)) and set(cells) <= set(range(self.num_cells))):
            raise broken_promise(
                self, f"winning_cells must be a list of cells from 0 to {self.num_cells - 1}."
            )
        return [int(cell) for cell in cells]

    def final_points(self, position: np.ndarray) -> tuple[int, int] | None:
        """Return the points of both players in a terminal position; None for a game without score or ownership."""
        if not (self.has_score and self.has_ownership):
            return None
        owners = self.ownership(position)
        return int((owners > 0).sum()), int((owners < 0).sum())

    def action_name(self, action: int) -> str:
        return self._ask_text("action_name", int(action))

    def parse_action(self, text: str) -> int:
        """Return the action that a text names. Raises a ValueError that says what is allowed."""
        return self._ask("parse_action", text)

    @property
    def sgf_header(self) -> str:
        """The properties of an SGF file that name the game and its board, "GM[1]SZ[9]"; "" if it has no such format."""
        return self._ask_text("sgf_header") if hasattr(self.module, "sgf_header") else ""

    def sgf_point(self, action: int) -> str:
        """Return a move as SGF has it, "dd"; needs sgf_header."""
        return self._ask_text("sgf_point", int(action))

    def sgf_words(self, position: np.ndarray) -> dict[str, int]:
        """Return the moves that SGF names by what they do, not by a point: {"swap-pieces": 17}; mostly none."""
        return self._ask("sgf_words", position) if hasattr(self.module, "sgf_words") else {}

    def sgf_parameters(
        self, properties: Mapping[str, Sequence[str]], moves: Sequence[str]
    ) -> dict[str, Any]:
        """Return the parameters that an SGF file gives; {} if the game reads none. Raises ValueError for bad ones.

        properties: of the root. moves: as the file has them.
        """
        if not hasattr(self.module, "sgf_parameters"):
            return {}
        return self._ask("sgf_parameters", properties, moves)

    @property
    def geometry(self) -> Geometry:
        """How the board is drawn. Raises GamePromiseError if what the game declares cannot be."""
        spec = self.spec
        if not hasattr(self.module, "geometry"):
            action_cells = None if spec.action_cells is None else spec.action_cells.tolist()
            return plain_geometry(
                spec.board_shape,
                self.num_cells,
                action_cells,
                spec.actions_are_columns,
                spec.num_actions,
            )
        geometry: Geometry = self._ask("geometry")
        problem = problem_of_geometry(geometry, self.num_cells, spec.num_actions)
        if problem:
            raise broken_promise(self, f"geometry {problem}")
        return geometry

    def render(self, position: np.ndarray, last_action: int | None = None) -> str:
        """Return the board as text, with the last action marked."""
        return self._ask_text("render", position, last_action)

    def _ask(self, function: str, *arguments: Any) -> Any:
        """Call a Python function of the game's file. Passes its ValueError on, whose sentence is for people."""
        try:
            return getattr(self.module, function)(self.parameters, *arguments)
        except ValueError:
            raise
        except Exception as error:
            raise broken_promise(self, f"{function} raises {in_one_line(error)}.") from error

    def _ask_text(self, function: str, *arguments: Any) -> str:
        text = self._ask(function, *arguments)
        if not isinstance(text, str):
            raise broken_promise(self, f"{function} must return text, not {type(text).__name__}.")
        return text
