"""Text, in color on a terminal, and images of snakes, for people. Plain Python, called for single positions."""

from __future__ import annotations

from typing import Any

import numpy as np

# Colors of the teams, from team 0 on: of a terminal's 256 colors, and RGB.
_TERMINAL_COLORS = (39, 208, 76, 201, 226, 51, 196, 99)
_MARKED_COLOR = 231
_RGB = (
    *((66, 135, 245), (245, 130, 48), (80, 180, 80), (200, 80, 200)),
    *((220, 200, 60), (80, 200, 200), (220, 60, 60), (130, 90, 220)),
)
_BACKGROUND = (24, 26, 30)
_GRID = (34, 37, 42)
_BEAN = (250, 250, 250)
_ARROWS = "^v<>"
_CELL_PIXELS = 12


def bodies(parameters: Any, position: np.ndarray) -> list[list[int]]:
    """Return the cells of every snake, the head first; see rules.py for the layout."""
    cells = parameters.rows * parameters.columns
    fields = 3 + parameters.beans
    rings = fields + 6 * parameters.snakes
    found = []
    for snake in range(parameters.snakes):
        length, head = (int(entry) for entry in position[fields + 6 * snake :][:2])
        ring = position[rings + snake * (cells + 1) :][: cells + 1]
        found.append([int(ring[(head + index) % (cells + 1)]) for index in range(length)])
    return found


def beans(parameters: Any, position: np.ndarray) -> list[int]:
    """Return the cells of the beans, the oldest first."""
    return [int(cell) for cell in position[3 : 3 + int(position[2])]]


def points(parameters: Any, position: np.ndarray) -> list[int]:
    """Return the number of cells grown per team."""
    size = parameters.snakes // parameters.teams
    grown = [len(body) - 3 for body in bodies(parameters, position)]
    return [sum(grown[team * size :][:size]) for team in range(parameters.teams)]


def text(parameters: Any, position: np.ndarray, in_color: bool, marked: int | None = None) -> str:
    """Return the board as text: heads are arrows, bodies the snake's number, beans `*`; above it are step and points.

    marked: a snake that is shown with `#` in a bright color, and named above the board.
    """
    rows, columns = parameters.rows, parameters.columns
    size = parameters.snakes // parameters.teams
    cells = ["·"] * (rows * columns)
    colors = [238] * (rows * columns)
    for cell in beans(parameters, position):
        cells[cell], colors[cell] = "*", 231
    for snake, body in enumerate(bodies(parameters, position)):
        heading = int(position[3 + parameters.beans + 6 * snake + 2])
        for index, cell in reversed(list(enumerate(body))):
            body_text = "#" if snake == marked else str(snake % 10)
            cells[cell] = _ARROWS[heading] if index == 0 else body_text
            colors[cell] = _TERMINAL_COLORS[snake // size % len(_TERMINAL_COLORS)]
            if snake == marked:
                colors[cell] = _MARKED_COLOR
    score = " : ".join(
        _paint(str(number), _TERMINAL_COLORS[team % len(_TERMINAL_COLORS)], in_color)
        for team, number in enumerate(points(parameters, position))
    )
    heading_line = f"step {int(position[0])} of {parameters.steps}   {score}"
    if marked is not None:
        heading_line += "   " + _paint(f"# snake {marked} is yours", _MARKED_COLOR, in_color)
    lines = [heading_line]
    for row in range(rows):
        places = range(row * columns, (row + 1) * columns)
        lines.append(" ".join(_paint(cells[cell], colors[cell], in_color) for cell in places))
    return "\n".join(lines)


def _paint(character: str, color: int, in_color: bool) -> str:
    return f"\x1b[38;5;{color}m{character}\x1b[0m" if in_color else character


def colors(parameters: Any) -> list[tuple[int, int, int]]:
    """Return the RGB color of each team."""
    return [_RGB[team % len(_RGB)] for team in range(parameters.teams)]


def image(parameters: Any, position: np.ndarray) -> np.ndarray:
    """Return `[height, width, 3]` uint8: bodies in the team's color, each snake in its own shade, heads bright."""
    rows, columns = parameters.rows, parameters.columns
    size = parameters.snakes // parameters.teams
    board = np.empty((rows * columns, 3), np.uint8)
    board[:] = _BACKGROUND
    for snake, body in enumerate(bodies(parameters, position)):
        color = np.array(_RGB[snake // size % len(_RGB)], np.float32)
        shade = 0.55 + 0.2 * (snake % size) / max(1, size - 1)
        for index, cell in reversed(list(enumerate(body))):
            board[cell] = np.minimum(255, color * (1.0 if index == 0 else shade))
    pixels = board.reshape(rows, columns, 3).repeat(_CELL_PIXELS, 0).repeat(_CELL_PIXELS, 1)
    pixels[::_CELL_PIXELS] = _GRID
    pixels[:, ::_CELL_PIXELS] = _GRID
    quarter = _CELL_PIXELS // 4
    for cell in beans(parameters, position):
        top, left = cell // columns * _CELL_PIXELS, cell % columns * _CELL_PIXELS
        pixels[top + quarter : top + 3 * quarter + 1, left + quarter : left + 3 * quarter + 1] = (
            _BEAN
        )
    return pixels
