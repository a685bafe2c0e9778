"""The stones of a Go position: groups, liberties, captures, area. Compiled; called by games/go/game.py and history.py.

Points are stored in rows of size + 1 with a border of one point around the board, so that neighbors are at fixed
distances: the point of row r, column c is (r + 1) * (size + 1) + c + 1. A group is named by one of its stones, its
root.

    STONES   per point: 0 empty, root of the group (black), -root (white), BORDER
    NEXT     per point with a stone: the next stone of its group, in a ring
    LIBS     per point, at roots: pseudo-liberties, empty neighbors counted once for each adjacent stone of the group.
             In a terminal position, at empty points: the owner, 1 black, -1 white or 0 neither.

A point p is a group's only liberty exactly if the group's number of pseudo-liberties equals the number of its stones
adjacent to p. Pseudo-liberties are used as in the programs libEGO and Gopher.
"""

from __future__ import annotations

from ddpzero.games.core.compiled import compiled, compiled_apart

MAX_SIZE = 19
BORDER = 32767

BLACK = 1
WHITE = -1

# Entries of LIBS while areas are searched.
_UNSEEN = 9
_SEEN = 8


def num_points(size: int) -> int:
    """Return the number of points of a board with its border."""
    return (size + 2) * (size + 1)


@compiled
def points_of(size):
    return (size + 2) * (size + 1)


@compiled
def point_of_cell(size, cell):
    return (cell // size + 1) * (size + 1) + cell % size + 1


@compiled
def cell_of_point(size, point):
    return (point // (size + 1) - 1) * size + point % (size + 1) - 1


@compiled
def neighbor(size, point, direction):
    """Return the neighbor of a point. direction: 0..3."""
    if direction == 0:
        return point - 1
    if direction == 1:
        return point + 1
    return point - size - 1 if direction == 2 else point + size + 1


@compiled
def set_border(position, size):
    """Write the border of a board that is all zero."""
    width = size + 1
    for point in range(width):
        position[point] = BORDER
        position[(size + 1) * width + point] = BORDER
    for row in range(1, size + 1):
        position[row * width] = BORDER


@compiled
def is_of(stone, color):
    """Return whether an entry of STONES is a stone of that color."""
    return stone != BORDER and stone * color > 0


@compiled
def add_stone(position, size, point, color):
    """Put a stone on an empty point and merge the adjacent groups of its color. Captures nothing."""
    following, libs = points_of(size), 2 * points_of(size)
    position[point] = color * point
    position[following + point] = point
    own_libs = 0
    for direction in range(4):
        beside = neighbor(size, point, direction)
        stone = position[beside]
        if stone == 0:
            own_libs += 1
        elif stone != BORDER:
            position[libs + abs(stone)] -= 1
    position[libs + point] = own_libs
    for direction in range(4):
        stone = position[neighbor(size, point, direction)]
        if is_of(stone, color) and stone != position[point]:
            _merge(position, size, abs(position[point]), abs(stone), color)


@compiled
def _merge(position, size, first, second, color):
    """Merge two groups by renaming the one with fewer pseudo-liberties, which is usually the smaller one."""
    following, libs = points_of(size), 2 * points_of(size)
    root, renamed = first, second
    if position[libs + second] > position[libs + first]:
        root, renamed = second, first
    stone = renamed
    while True:
        position[stone] = color * root
        stone = position[following + stone]
        if stone == renamed:
            break
    position[following + root], position[following + renamed] = (
        position[following + renamed],
        position[following + root],
    )
    position[libs + root] += position[libs + renamed]


@compiled_apart
def remove_group(position, size, root):
    """Take a group off the board; its stones stay linked in NEXT until something is played there."""
    following, libs = points_of(size), 2 * points_of(size)
    stone = root
    while True:
        position[stone] = 0
        stone = position[following + stone]
        if stone == root:
            break
    while True:
        for direction in range(4):
            beside = position[neighbor(size, stone, direction)]
            if beside != 0 and beside != BORDER:
                position[libs + abs(beside)] += 1
        stone = position[following + stone]
        if stone == root:
            break


@compiled
def touching(position, size, point, group):
    """Return the number of stones of a group (entry of STONES) adjacent to a point."""
    count = 0
    for direction in range(4):
        count += position[neighbor(size, point, direction)] == group
    return count


@compiled
def has_room(position, size, point, color):
    """Return whether a stone of that color would have a liberty after its captures.

    point: an empty point without empty neighbors.
    """
    libs = 2 * points_of(size)
    for direction in range(4):
        group = position[neighbor(size, point, direction)]
        if group != 0 and group != BORDER:
            is_only_liberty = position[libs + abs(group)] == touching(position, size, point, group)
            if is_only_liberty != (group * color > 0):
                return True
    return False


@compiled
def is_beside_own(position, size, point, color):
    for direction in range(4):
        if is_of(position[neighbor(size, point, direction)], color):
            return True
    return False


@compiled_apart
def mark_areas(position, size):
    """Write the owners of the empty points of a terminal position into LIBS; return black's area minus white's.

    Area counting, every stone is alive (Tromp-Taylor): an empty region belongs to a player if only stones of that
    player are adjacent to it.
    """
    libs = 2 * points_of(size)
    difference = 0
    width = size + 1
    for row in range(1, size + 1):
        for point in range(row * width + 1, row * width + size + 1):
            if position[point] == 0:
                position[libs + point] = _UNSEEN
            else:
                difference += 1 if position[point] > 0 else -1
    for row in range(1, size + 1):
        for point in range(row * width + 1, row * width + size + 1):
            if position[point] == 0 and position[libs + point] == _UNSEEN:
                difference += _mark_region(position, size, point)
    return difference


@compiled
def _mark_region(position, size, start):
    """Traverse an empty region, linking its points in NEXT; return its points for black (negative for white)."""
    following, libs = points_of(size), 2 * points_of(size)
    position[libs + start] = _SEEN
    last = start
    point = start
    count = 0
    touches_black = False
    touches_white = False
    while True:
        count += 1
        for direction in range(4):
            beside = neighbor(size, point, direction)
            stone = position[beside]
            if stone == 0:
                if position[libs + beside] == _UNSEEN:
                    position[libs + beside] = _SEEN
                    position[following + last] = beside
                    last = beside
            elif stone != BORDER:
                touches_black |= stone > 0
                touches_white |= stone < 0
        if point == last:
            break
        point = position[following + point]
    owner = 0
    if touches_black != touches_white:
        owner = BLACK if touches_black else WHITE
    point = start
    while True:
        position[libs + point] = owner
        if point == last:
            break
        point = position[following + point]
    return owner * count


@compiled
def observe_liberties(position, size, planes, first):
    """Write planes first, first + 1, first + 2: stones of groups with one, two, three liberties.

    Uses the plane after them as work space and leaves it zero.
    """
    num_cells = size * size
    counts = (first + 3) * num_cells
    for cell in range(num_cells):
        point = point_of_cell(size, cell)
        if position[point] == 0:
            for direction in range(4):
                group = position[neighbor(size, point, direction)]
                if group != 0 and group != BORDER:
                    is_first = True
                    for earlier in range(direction):
                        is_first &= position[neighbor(size, point, earlier)] != group
                    place = counts + cell_of_point(size, abs(group))
                    if is_first and planes[place] < 4:
                        planes[place] += 1
    for cell in range(num_cells):
        group = position[point_of_cell(size, cell)]
        if group != 0:
            num_liberties = planes[counts + cell_of_point(size, abs(group))]
            if num_liberties < 4:
                planes[(first + num_liberties - 1) * num_cells + cell] = 1
    for cell in range(num_cells):
        planes[counts + cell] = 0
