"""Go with area scoring (Tromp-Taylor): every stone is alive at the end; two consecutive passes end the game.

`ko` simple: no move may retake the single stone that has just captured a single stone. positional: no board may repeat.
situational: no board may repeat with the same player to move. Passing is always legal. `suicide`: a move may capture
its own group if that has two or more stones. An episode of max_plies is scored as it stands.
Actions are points, size * row + column with row 0 at the bottom (GTP's A1 is 0), then the pass. The first player is
black; with a handicap black starts with stones on the star points (GTP's fixed_handicap) and white begins.

    position int16: STONES, NEXT, LIBS (board.py), TAKEN (history.py), the entries named below, and except with
        ko=simple HEADS and BOARDS (history.py); only the part of BOARDS for boards that have occurred is in use
    planes [7 + history, size, size]
        0 own stones, 1 the opponent's stones, 2 ones, 3-5 stones of both whose groups have one, two, three liberties,
        6 points that only ko forbids, 7.. the last move, the one before, ... (all zero for a pass)
    globals [3]: twice the komi, positive if it favors the mover; 1 black to move, -1 white; 1 after a pass, else 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpzero.games.core.compiled import compiled
from ddpzero.games.core.geometry import (
    Geometry,
    inner_circles,
    lines_through_squares,
    names_of_squares,
    squares,
)
from ddpzero.games.core.spec import GameSpec
from ddpzero.games.go.board import (
    BLACK,
    MAX_SIZE,
    WHITE,
    add_stone,
    cell_of_point,
    has_room,
    is_beside_own,
    is_of,
    mark_areas,
    neighbor,
    num_points,
    observe_liberties,
    point_of_cell,
    points_of,
    remove_group,
    set_border,
)
from ddpzero.games.go.history import (
    BOARD_ENTRIES,
    add_board,
    board_after,
    forget_group,
    group_size,
    is_known,
    num_taken_entries,
    read_hash,
    side_hash,
    stone_hash,
    was_taken,
    write_hash,
)
from ddpzero.games.go.names import SGF_SIZE, name_of_rules, parse_komi, rules_of_name
from ddpzero.games.shared.boards import draw_board, rectangle_symmetries, sgf_letters, sgf_size

KO_RULES = ("simple", "positional", "situational")
_SIMPLE = 0
_SITUATIONAL = 2

# Indices of the entries that follow TAKEN.
_MOVER = 0  # 0 black, 1 white
_PLIES = 1
_PASSES = 2  # consecutive
_KO = 3  # the point that simple ko forbids, 0 for none
_IS_OVER = 4
_SCORE = 5  # black's area minus white's, once the game is over
_NUM_STONES = 6
_NUM_BOARDS = 7
_HASH = 8  # the first of four entries
_RECENT = 12  # action + 1 of the last move, of the one before, ...
MAX_HISTORY = 8
_MAX_PLIES = 5000
_NUM_ENTRIES = _RECENT + MAX_HISTORY

_NUM_PLANES = 7  # without history
_LIBERTIES = 3  # the first of three planes
_BANS = 6
# Rows and columns of handicap stones: 0 near A1, 1 in the middle, 2 on the far side.
_HANDICAP_PLACES = ((0, 0), (2, 2), (2, 0), (0, 2), (1, 0), (1, 2), (0, 1), (2, 1), (1, 1))
_LETTERS = "ABCDEFGHJKLMNOPQRST"  # without I


@dataclass(frozen=True)
class Parameters:
    """size: 2..19. komi: white's points for moving second, a multiple of 0.5. ko: simple, positional or situational.

    suicide: whether a move may capture its own group of two or more stones. handicap: number of black stones at the
    start, 0 or 2..9. max_plies: limit of an episode's length; 0: 3 * size^2 + 100. history: number of last moves that
    the network sees, 0..8.
    """

    size: int = 9
    komi: float = 7.5
    ko: str = "positional"
    suicide: bool = False
    handicap: int = 0
    max_plies: int = 0
    history: int = 5

    def __post_init__(self) -> None:
        if not 2 <= self.size <= MAX_SIZE:
            raise ValueError(
                f"game.size={self.size} is outside 2..{MAX_SIZE}: choose a size between them."
            )
        if self.komi * 2 % 1 != 0 or abs(self.komi) > self.size**2:
            raise ValueError(
                f"game.komi={self.komi} must be a multiple of 0.5 from -{self.size**2} to {self.size**2}, the "
                "board's points."
            )
        if self.ko not in KO_RULES:
            raise ValueError(f"game.ko={self.ko} is not one of {', '.join(KO_RULES)}.")
        most = 0 if self.size < 7 else 9 if self.size % 2 and self.size > 7 else 4
        if self.handicap != 0 and not 2 <= self.handicap <= most:
            raise ValueError(
                f"game.handicap={self.handicap}: on game.size={self.size} it must be 0"
                + (f" or from 2 to {most}." if most else ".")
            )
        if self.max_plies < 0 or self.ply_limit > _MAX_PLIES:
            raise ValueError(
                f"game.max_plies={self.max_plies} must be from 1 to {_MAX_PLIES}, or 0 for 3 * size^2 + 100."
            )
        if not 0 <= self.history <= MAX_HISTORY:
            raise ValueError(f"game.history={self.history} is outside 0..{MAX_HISTORY}.")

    @property
    def ply_limit(self) -> int:
        return self.max_plies or 3 * self.size**2 + 100

    def constants(self) -> dict[str, int]:
        return {
            "size": self.size,
            "ko": KO_RULES.index(self.ko),
            "suicide": int(self.suicide),
            "history": self.history,
        }

    def variables(self) -> dict[str, int]:
        return {
            "twice_komi": round(2 * self.komi),
            "handicap": self.handicap,
            "max_plies": self.ply_limit,
        }


def spec(parameters: Parameters) -> GameSpec:
    size, num_cells = parameters.size, parameters.size**2
    symmetries = rectangle_symmetries(size, size)
    passes = np.full((len(symmetries), 1), num_cells, np.int32)
    position_size = 3 * num_points(size) + 2 * ((num_points(size) + 15) // 16) + _NUM_ENTRIES
    if parameters.ko != "simple":
        position_size += num_cells + 1 + BOARD_ENTRIES * (parameters.ply_limit + 1)
    return GameSpec(
        num_actions=num_cells + 1,
        position_size=position_size,
        position_dtype=np.dtype(np.int16),
        num_planes=_NUM_PLANES + parameters.history,
        board_shape=(size, size),
        max_plies=parameters.ply_limit,
        cell_symmetries=symmetries,
        action_symmetries=np.hstack([symmetries, passes]),
        num_start_symmetries=1 if parameters.handicap else None,
        action_cells=np.append(np.arange(num_cells), -1).astype(np.int32),
        num_globals=3,
        global_scales=(1 / 30, 1.0, 1.0),
        max_score=num_cells,
    )


# ------------------------------------------------------------------------ where the parts begin


@compiled
def _taken_start(rules):
    return 3 * points_of(rules.size)


@compiled
def _entries_start(rules):
    return _taken_start(rules) + 2 * num_taken_entries(rules.size)


@compiled
def _heads_start(rules):
    return _entries_start(rules) + _NUM_ENTRIES


@compiled
def _boards_start(rules):
    return _heads_start(rules) + rules.size * rules.size + 1


@compiled
def _color(rules, position):
    """Return the color of the mover."""
    return BLACK if position[_entries_start(rules) + _MOVER] == 0 else WHITE


# ------------------------------------------------------------------------ kernels


def initial_position(rules, position):
    position[:] = 0
    set_border(position, rules.size)
    entries = _entries_start(rules)
    board_hash = np.uint64(0)
    for index in range(rules.handicap):
        point = point_of_cell(rules.size, _handicap_cell(rules.size, rules.handicap, index))
        add_stone(position, rules.size, point, BLACK)
        board_hash ^= stone_hash(BLACK, point)
    position[entries + _NUM_STONES] = rules.handicap
    position[entries + _MOVER] = 1 if rules.handicap > 0 else 0
    if rules.ko != _SIMPLE:
        write_hash(position, entries + _HASH, board_hash)
        _remember_board(rules, position)


def legal_actions(rules, position, legal):
    size, width = rules.size, rules.size + 1
    entries = _entries_start(rules)
    if position[entries + _IS_OVER] != 0:
        legal[:] = False
        return
    color = _color(rules, position)
    # Most legal points have an empty neighbor: this pass is vectorized.
    for row in range(size):
        first = (row + 1) * width + 1
        for column in range(size):
            point = first + column
            legal[row * size + column] = (position[point] == 0) & (
                (position[point - 1] == 0)
                | (position[point + 1] == 0)
                | (position[point - width] == 0)
                | (position[point + width] == 0)
            )
    for row in range(size):
        first = (row + 1) * width + 1
        for column in range(size):
            point = first + column
            if position[point] == 0 and not legal[row * size + column]:
                is_legal = has_room(position, size, point, color)
                if rules.suicide != 0 and not is_legal:
                    is_legal = is_beside_own(position, size, point, color)
                    if rules.ko != _SIMPLE and is_legal:
                        is_legal = not _repeats(rules, position, point)
                legal[row * size + column] = is_legal
    legal[size * size] = True
    if rules.ko == _SIMPLE:
        if position[entries + _KO] != 0:
            legal[cell_of_point(size, position[entries + _KO])] = False
    else:
        _forbid_repetitions(rules, position, legal)


def apply_action(rules, position, action):
    size = rules.size
    entries = _entries_start(rules)
    recent = entries + _RECENT
    for index in range(rules.history - 1, 0, -1):
        position[recent + index] = position[recent + index - 1]
    if rules.history > 0:
        position[recent] = action + 1
    position[entries + _PLIES] += 1
    position[entries + _KO] = 0
    if action == size * size:
        position[entries + _PASSES] += 1
    else:
        position[entries + _PASSES] = 0
        _play(rules, position, point_of_cell(size, action), _color(rules, position))
    position[entries + _MOVER] = 1 - position[entries + _MOVER]
    if position[entries + _PASSES] == 2 or position[entries + _PLIES] == rules.max_plies:
        position[entries + _IS_OVER] = 1
        position[entries + _SCORE] = mark_areas(position, size)
    # With positional superko a pass adds no new board.
    elif rules.ko == _SITUATIONAL or (rules.ko != _SIMPLE and action != size * size):
        _remember_board(rules, position)


def current_player(rules, position):
    return position[_entries_start(rules) + _MOVER]


def is_terminal(rules, position):
    return position[_entries_start(rules) + _IS_OVER] != 0


def player_return(rules, position, player):
    twice_margin = 2 * position[_entries_start(rules) + _SCORE] - rules.twice_komi
    result = 1.0 if twice_margin > 0 else -1.0
    if twice_margin == 0:
        result = 0.0
    return result if player == 0 else -result


def score(rules, position):
    return position[_entries_start(rules) + _SCORE]


def ownership(rules, position, owners):
    libs = 2 * points_of(rules.size)
    for cell in range(rules.size * rules.size):
        point = point_of_cell(rules.size, cell)
        owner = position[libs + point]
        if position[point] != 0:
            owner = BLACK if position[point] > 0 else WHITE
        owners[cell] = owner


def observe(rules, position, planes):
    size, num_cells = rules.size, rules.size * rules.size
    recent = _entries_start(rules) + _RECENT
    color = _color(rules, position)
    for row in range(size):
        first = (row + 1) * (size + 1) + 1
        for column in range(size):
            stone = position[first + column]
            cell = row * size + column
            planes[cell] = stone * color > 0
            planes[num_cells + cell] = stone * color < 0
            planes[2 * num_cells + cell] = 1
    observe_liberties(position, size, planes, _LIBERTIES)
    if position[_entries_start(rules) + _IS_OVER] == 0:
        _observe_bans(rules, position, planes)
    for index in range(rules.history):
        action = position[recent + index] - 1
        if 0 <= action < num_cells:
            planes[(_NUM_PLANES + index) * num_cells + action] = 1


def observe_globals(rules, position, globals):
    color = _color(rules, position)
    globals[0] = min(max(-color * rules.twice_komi, -127), 127)
    globals[1] = color
    globals[2] = position[_entries_start(rules) + _PASSES] > 0


def copy_position(rules, source, target):
    num_used = source.shape[0]
    if rules.ko != _SIMPLE:
        num_boards = source[_entries_start(rules) + _NUM_BOARDS]
        num_used = _boards_start(rules) + BOARD_ENTRIES * num_boards
    for index in range(num_used):
        target[index] = source[index]


# ------------------------------------------------------------------------ inside the kernels


@compiled
def _handicap_cell(size, handicap, index):
    """Return the cell of the index-th handicap stone, in the order of GTP's fixed_handicap."""
    near = 2 if size < 13 else 3
    lines = (near, size // 2, size - 1 - near)
    row, column = _HANDICAP_PLACES[index]
    if index == handicap - 1 and handicap > 4 and handicap % 2 == 1:
        row, column = 1, 1
    return size * lines[row] + lines[column]


@compiled
def _play(rules, position, point, color):
    """Put a stone on the board and remove the groups without liberties."""
    size = rules.size
    entries = _entries_start(rules)
    following, libs = points_of(size), 2 * points_of(size)
    add_stone(position, size, point, color)
    position[entries + _NUM_STONES] += 1
    if rules.ko != _SIMPLE:
        board_hash = read_hash(position, entries + _HASH) ^ stone_hash(color, point)
        write_hash(position, entries + _HASH, board_hash)
    num_taken = 0
    taken_point = 0
    for direction in range(4):
        beside = neighbor(size, point, direction)
        group = position[beside]
        if is_of(group, -color) and position[libs + abs(group)] == 0:
            num_taken += _take(rules, position, abs(group), -color)
            taken_point = beside
    own = abs(position[point])
    if position[libs + own] == 0:
        _take(rules, position, own, color)
    elif num_taken == 1 and position[following + point] == point and position[libs + point] == 1:
        position[entries + _KO] = taken_point


@compiled
def _take(rules, position, root, color):
    """Take a group off the board; return its number of stones."""
    size = rules.size
    entries = _entries_start(rules)
    count = group_size(position, size, root)
    position[entries + _NUM_STONES] -= count
    if rules.ko != _SIMPLE:
        forget_group(position, size, root, color, _taken_start(rules), entries + _HASH)
    remove_group(position, size, root)
    return count


@compiled
def _remember_board(rules, position):
    """Add the current board to the history."""
    entries = _entries_start(rules)
    board_hash = read_hash(position, entries + _HASH)
    if rules.ko == _SITUATIONAL:
        board_hash ^= side_hash(_color(rules, position))
    add_board(
        position,
        _heads_start(rules),
        _boards_start(rules),
        position[entries + _NUM_BOARDS],
        position[entries + _NUM_STONES],
        board_hash,
    )
    position[entries + _NUM_BOARDS] += 1


@compiled
def _repeats(rules, position, point):
    """Return whether the mover's stone on a point would repeat a board."""
    entries = _entries_start(rules)
    color = _color(rules, position)
    num_stones, board_hash = board_after(
        position,
        rules.size,
        point,
        color,
        position[entries + _NUM_STONES],
        read_hash(position, entries + _HASH),
    )
    if rules.ko == _SITUATIONAL:
        board_hash ^= side_hash(-color)
    return is_known(position, _heads_start(rules), _boards_start(rules), num_stones, board_hash)


@compiled
def _forbid_repetitions(rules, position, legal):
    """Set `legal` to False for moves that superko forbids, among those that capture none of the mover's own stones."""
    size = rules.size
    num_words = num_taken_entries(size)
    first = _taken_start(rules) + (0 if _color(rules, position) > 0 else num_words)
    for word in range(num_words):
        if position[first + word] != 0:
            for bit in range(16):
                if (position[first + word] >> bit) & 1 != 0:
                    point = 16 * word + bit
                    cell = cell_of_point(size, point)
                    if legal[cell] and _repeats(rules, position, point):
                        legal[cell] = False


@compiled
def _observe_bans(rules, position, planes):
    """Write the plane of the points where only ko or superko forbids the mover to play."""
    size, num_cells = rules.size, rules.size * rules.size
    ko_point = position[_entries_start(rules) + _KO]
    if rules.ko == _SIMPLE:
        if ko_point != 0:
            planes[_BANS * num_cells + cell_of_point(size, ko_point)] = 1
        return
    color = _color(rules, position)
    if rules.suicide == 0:
        # Only where the mover's stones were taken may a board repeat.
        num_words = num_taken_entries(size)
        first = _taken_start(rules) + (0 if color > 0 else num_words)
        for word in range(num_words):
            if position[first + word] != 0:
                for bit in range(16):
                    point = 16 * word + bit
                    was_taken_there = (position[first + word] >> bit) & 1 != 0
                    if (
                        was_taken_there
                        and position[point] == 0
                        and _lives(position, size, point, color)
                    ):
                        cell = cell_of_point(size, point)
                        planes[_BANS * num_cells + cell] = _repeats(rules, position, point)
        return
    for cell in range(num_cells):
        point = point_of_cell(size, cell)
        if position[point] == 0:
            may_repeat = is_beside_own(position, size, point, color)
            if _lives(position, size, point, color):
                may_repeat = was_taken(position, _taken_start(rules), size, point, color)
            if may_repeat:
                planes[_BANS * num_cells + cell] = _repeats(rules, position, point)


@compiled
def _lives(position, size, point, color):
    """Return whether a stone on an empty point would have a liberty after its captures."""
    for direction in range(4):
        if position[neighbor(size, point, direction)] == 0:
            return True
    return has_room(position, size, point, color)


# ------------------------------------------------------------------------ for people


def action_name(parameters: Parameters, action: int) -> str:
    """Return the name used by GTP: "D4", "pass"."""
    size = parameters.size
    if action == size**2:
        return "pass"
    return f"{_LETTERS[action % size]}{action // size + 1}"


def sgf_header(parameters: Parameters) -> str:
    """Return the properties of https://www.red-bean.com/sgf: game 1."""
    rules = name_of_rules(parameters.ko, parameters.suicide)
    stones = "".join(f"[{sgf_point(parameters, cell)}]" for cell in handicap_cells(parameters))
    handicap = f"HA[{parameters.handicap}]AB{stones}" if stones else ""
    return f"GM[1]SZ[{parameters.size}]KM[{parameters.komi:g}]RU[{rules}]{handicap}"


def sgf_point(parameters: Parameters, action: int) -> str:
    size = parameters.size
    return "" if action == size**2 else sgf_letters(size - 1 - action // size, action % size)


def sgf_parameters(
    parameters: Parameters, properties: Mapping[str, Sequence[str]], moves: Sequence[str]
) -> dict[str, Any]:
    """Return the size, and the komi and the rules if the file says them; as many handicap stones as it sets up."""
    size = sgf_size(properties, SGF_SIZE)
    found: dict[str, Any] = {"size": size, "handicap": len(properties.get("AB", ()))}
    komi = (properties.get("KM") or [""])[0]
    if komi:
        found["komi"] = parse_komi(komi)
    rules = rules_of_name((properties.get("RU") or [""])[0])
    if rules is not None:
        found["ko"], found["suicide"] = rules
    limit = parameters.max_plies if size == parameters.size else 0
    if len(moves) > (limit or 3 * size**2 + 100):
        limit = min(len(moves), _MAX_PLIES)
    return {**found, "max_plies": limit}


def handicap_cells(parameters: Parameters) -> list[int]:
    """Return where black's handicap stones are, in the order of GTP's fixed_handicap."""
    size, handicap = parameters.size, parameters.handicap
    place = _handicap_cell.py_func
    return [int(place(size, handicap, index)) for index in range(handicap)]


def parse_action(parameters: Parameters, text: str) -> int:
    size, cleaned = parameters.size, text.strip().upper()
    if cleaned == "PASS":
        return size**2
    column = _LETTERS.find(cleaned[:1]) if cleaned else -1
    row = int(cleaned[1:]) - 1 if cleaned[1:].isdecimal() else -1
    if not (0 <= column < size and 0 <= row < size):
        raise ValueError(
            f"{text!r} is not a point: give a letter (there is no I) and a number from A1 to "
            f"{_LETTERS[size - 1]}{size}, or pass."
        )
    return size * row + column


def board(parameters: Parameters, position: np.ndarray) -> np.ndarray:
    size = parameters.size
    points = position[: num_points(size)].reshape(size + 2, size + 1)[1:-1, 1:].reshape(-1)
    return np.where(points > 0, 1, np.where(points < 0, 2, 0))


def geometry(parameters: Parameters) -> Geometry:
    size = parameters.size
    cells = squares(size, size, upside_down=True)
    return Geometry(
        width=size,
        height=size,
        background=lines_through_squares(size),
        cells=inner_circles(cells),
        actions=(*cells, None),
        labels=names_of_squares(size, size, _LETTERS),
        pieces="stones",
        surface="wood",
    )


def render(parameters: Parameters, position: np.ndarray, last_action: int | None) -> str:
    size = parameters.size
    cells = board(parameters, position).reshape(size, size)[::-1].reshape(-1)
    last_cell = None
    if last_action is not None and last_action < size**2:
        last_cell = (size - 1 - last_action // size) * size + last_action % size
    drawing = draw_board(cells, size, size, ".XO", last_cell, _LETTERS)
    if last_action == size**2:
        drawing += "\npass"
    return drawing
