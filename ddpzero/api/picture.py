"""Draws a position as SVG, for notebooks and files, from the geometry that its game declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from ddpzero.games import Game
from ddpzero.games.core.geometry import Geometry, Role, Shape, Surface, circle, rect

# Pixels of a cell, and of the longer side of a large board at most.
_CELL_PIXELS = 44
_MOST_PIXELS = 480
_MARGIN = 0.15
_FONT = 'font-family="sans-serif" text-anchor="middle" dominant-baseline="central"'

_FIELDS: Mapping[Surface, str] = {
    "plain": "#f3efe6",
    "wood": "#e2b66f",
    "green": "#3c8a5b",
    "blue": "#2f62b5",
}
_DOTS: Mapping[Surface, str] = {
    "plain": "#3a3a3a",
    "wood": "#3a2a12",
    "green": "#173a26",
    "blue": "#e9eef7",
}
_GRIDS: Mapping[Surface, str] = {
    "plain": "#8c8577",
    "wood": "#5e451d",
    "green": "#1f4a31",
    "blue": "#1d417d",
}
# Of the first and of the second player: how their stones and their discs are filled.
_STONES = ("#1b1b1b", "#fbfbf8")
_COLORS = ("#d8433b", "#f0b51f")
# Where the two colors meet a neutral background: X and O, boxes.
_OWNERS = ("#c8372f", "#2b67b0")
_LAST = "#10b7a5"
_HEAT = "#7b3fe4"
_LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Scene:
    """What is drawn. array, before: `[P]`, the position and the one before its last move; None at the start.

    actions: from the start of the game on.
    """

    game: Game
    array: np.ndarray
    before: np.ndarray | None
    actions: tuple[int, ...]


def picture_of(scene: Scene, shares: Mapping[int, float] | None = None) -> str:
    """Return the board as the text of an SVG file.

    shares: of legal actions, drawn as a heat map with percentages. Raises ValueError for an action that is not legal.
    """
    geometry = scene.game.geometry
    parts = _ground(geometry)
    parts += [_background(shape, role, geometry) for shape, role in _drawings(geometry)]
    parts += _moves_that_stay(scene, geometry)
    parts += _pieces(scene, geometry)
    parts += _marks(scene, geometry)
    if shares:
        parts += _heat(scene, geometry, shares)
    parts += [_text(label.x, label.y, label.text, 0.34, "#777") for label in geometry.labels]
    return _document(geometry, parts, scene)


def _drawings(geometry: Geometry) -> list[tuple[Shape, Role]]:
    return [(drawing.shape, drawing.role) for drawing in geometry.background]


def _ground(geometry: Geometry) -> list[str]:
    """Return a light ground for a board without a surface: dark lines must not vanish in a dark notebook."""
    if any(role == "field" for _, role in _drawings(geometry)):
        return []
    side = 2 * _MARGIN
    ground = rect(-_MARGIN, -_MARGIN, geometry.width + side, geometry.height + side)
    return [_drawn(ground, f'fill="{_FIELDS[geometry.surface]}"', 0)]


def _background(shape: Shape, role: Role, geometry: Geometry) -> str:
    surface = geometry.surface
    if role == "field":
        return _drawn(shape, f'fill="{_FIELDS[surface]}" stroke="{_GRIDS[surface]}"', 0.02)
    if role == "grid":
        return _drawn(shape, f'fill="none" stroke="{_GRIDS[surface]}"', 0.03)
    if role == "dot":
        return _drawn(shape, f'fill="{_DOTS[surface]}" stroke="none"', 0)
    color = _fills(geometry)[0 if role == "first_edge" else 1]
    return _drawn(shape, f'fill="none" stroke="{color}" stroke-linecap="round"', 0.14)


def _fills(geometry: Geometry) -> tuple[str, str]:
    """Return the colors of the first and of the second player."""
    return {"stones": _STONES, "discs": _COLORS}.get(geometry.pieces, _OWNERS)


def _moves_that_stay(scene: Scene, geometry: Geometry) -> list[str]:
    """Return the lines that earlier moves have drawn, in a game that keeps them."""
    if not geometry.keeps_moves:
        return []
    return [
        _drawn(shape, 'fill="none" stroke="#3a3a3a" stroke-linecap="round"', 0.08)
        for action in scene.actions
        if (shape := geometry.actions[action]) is not None
    ]


def _pieces(scene: Scene, geometry: Geometry) -> list[str]:
    colors = _fills(geometry)
    parts = []
    for shape, owner in zip(geometry.cells, scene.game.board(scene.array).tolist(), strict=True):
        if not owner:
            continue
        color = colors[owner - 1]
        if geometry.pieces == "marks":
            parts.append(_mark(shape, owner, color))
        elif geometry.pieces == "fills":
            parts.append(_drawn(shape, f'fill="{color}" fill-opacity="0.55" stroke="none"', 0))
        else:
            parts.append(_drawn(shape, f'fill="{color}" stroke="#00000088"', 0.03))
    return parts


def _mark(shape: Shape, owner: int, color: str) -> str:
    """Return an X for the first player, an O for the second one."""
    x, y = _middle(shape)
    if owner == 2:
        return _drawn(circle(x, y, 0.28), f'fill="none" stroke="{color}"', 0.1)
    d = 0.27
    lines = f"M{x - d:g} {y - d:g}L{x + d:g} {y + d:g}M{x - d:g} {y + d:g}L{x + d:g} {y - d:g}"
    return f'<path d="{lines}" stroke="{color}" stroke-width="0.1" stroke-linecap="round"/>'


def _marks(scene: Scene, geometry: Geometry) -> list[str]:
    """Return a mark on the last move, and on the cells that won."""
    game = scene.game
    won = game.winning_cells(scene.array) if game.is_terminal(scene.array) else []
    parts = [
        _drawn(circle(*_middle(geometry.cells[cell]), 0.3), f'fill="none" stroke="{_LAST}"', 0.08)
        for cell in won
    ]
    if scene.before is not None:
        last = _place(game, scene.before, scene.actions[-1], scene.array, geometry)
        if last is not None and last.kind == "line":
            parts.append(_drawn(last, f'fill="none" stroke="{_LAST}" stroke-linecap="round"', 0.12))
        elif last is not None:
            parts.append(_drawn(circle(*_middle(last), 0.12), f'fill="{_LAST}"', 0))
    return parts


def _heat(scene: Scene, geometry: Geometry, shares: Mapping[int, float]) -> list[str]:
    """Return the shares of moves where these would be played, the darkest for the largest one."""
    most = max(shares.values(), default=0.0)
    parts = []
    for action, share in shares.items():
        if share < _LEAST_SHARE:
            continue
        after = scene.game.apply_action(scene.array, action)
        place = _place(scene.game, scene.array, action, after, geometry)
        if place is None:
            continue
        strength = f"{0.15 + 0.7 * share / most:.2f}"
        x, y = _middle(place)
        if place.kind == "line":
            style = f'fill="none" stroke="{_HEAT}" stroke-opacity="{strength}"'
            parts.append(_drawn(place, style, 0.14))
        else:
            style = f'fill="{_HEAT}" fill-opacity="{strength}"'
            parts.append(_drawn(circle(x, y, 0.42), style, 0))
        color = "#fff" if share > 0.4 * most and place.kind != "line" else "#111"
        parts.append(_text(x, y, f"{100 * share:.0f}", 0.32, color))
    return parts


def _place(
    game: Game, before: np.ndarray, action: int, after: np.ndarray, geometry: Geometry
) -> Shape | None:
    """Return where a move is shown: the only cell that it fills, else where it is clicked; None for a pass."""
    filled = np.flatnonzero((game.board(before) == 0) & (game.board(after) != 0))
    if len(filled) == 1 and not geometry.keeps_moves:
        return geometry.cells[filled[0]]
    return geometry.actions[action]


# ------------------------------------------------------------------ SVG


def _document(geometry: Geometry, parts: list[str], scene: Scene) -> str:
    """Return the parts as a picture that holds all of the board and its labels."""
    xs = [
        0.0,
        geometry.width,
        *(label.x + side for label in geometry.labels for side in (-0.3, 0.3)),
    ]
    ys = [
        0.0,
        geometry.height,
        *(label.y + side for label in geometry.labels for side in (-0.2, 0.2)),
    ]
    left, top = min(xs) - _MARGIN, min(ys) - _MARGIN
    width, height = max(xs) + _MARGIN - left, max(ys) + _MARGIN - top
    scale = min(_CELL_PIXELS, _MOST_PIXELS / max(width, height))
    title = f"<title>{escape(_title(scene))}</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:g} {top:g} {width:g} {height:g}" '
        f'width="{scale * width:.0f}" height="{scale * height:.0f}">{title}{"".join(parts)}</svg>'
    )


def _title(scene: Scene) -> str:
    moves = len(scene.actions)
    return f"{scene.game.name} after {moves} {'move' if moves == 1 else 'moves'}"


def _drawn(shape: Shape, style: str, stroke_width: float) -> str:
    n = [f"{number:g}" for number in shape.numbers]
    if shape.kind == "rect":
        what = f'rect x="{n[0]}" y="{n[1]}" width="{n[2]}" height="{n[3]}"'
    elif shape.kind == "circle":
        what = f'circle cx="{n[0]}" cy="{n[1]}" r="{n[2]}"'
    else:
        tag = "polygon" if shape.kind == "polygon" else "polyline"
        points = " ".join(f"{x},{y}" for x, y in zip(n[::2], n[1::2], strict=True))
        what = f'{tag} points="{points}"'
    width = f' stroke-width="{stroke_width:g}"' if stroke_width else ""
    return f"<{what} {style}{width}/>"


def _middle(shape: Shape) -> tuple[float, float]:
    numbers = shape.numbers
    if shape.kind == "circle":
        return numbers[0], numbers[1]
    if shape.kind == "rect":
        return numbers[0] + numbers[2] / 2, numbers[1] + numbers[3] / 2
    return sum(numbers[::2]) / len(numbers[::2]), sum(numbers[1::2]) / len(numbers[1::2])


def _text(x: float, y: float, text: str, size: float, color: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{color}" {_FONT}>{escape(text)}</text>'
