// Shapes of a geometry (ddpzero/games/core/geometry.py) as SVG, and what is computed of them.
import { html } from "./vendor/htm-preact-standalone.mjs";

export function pointsOf(shape) {
  const points = [];
  for (let i = 0; i < shape.numbers.length; i += 2) points.push([shape.numbers[i], shape.numbers[i + 1]]);
  return points;
}

export function drawn(shape, attributes) {
  const n = shape.numbers;
  if (shape.kind === "rect") {
    return html`<rect x=${n[0]} y=${n[1]} width=${n[2]} height=${n[3]} ...${attributes} />`;
  }
  if (shape.kind === "circle") {
    return html`<circle cx=${n[0]} cy=${n[1]} r=${n[2]} ...${attributes} />`;
  }
  const points = n.join(" ");
  return shape.kind === "polygon"
    ? html`<polygon points=${points} ...${attributes} />`
    : html`<polyline points=${points} ...${attributes} />`;
}

// The middle of a shape, and the radius of a circle that fits into it.
export function middleOf(shape) {
  const n = shape.numbers;
  if (shape.kind === "rect") return { x: n[0] + n[2] / 2, y: n[1] + n[3] / 2, radius: Math.min(n[2], n[3]) / 2 };
  if (shape.kind === "circle") return { x: n[0], y: n[1], radius: n[2] };
  const points = pointsOf(shape);
  const x = points.reduce((sum, point) => sum + point[0], 0) / points.length;
  const y = points.reduce((sum, point) => sum + point[1], 0) / points.length;
  if (shape.kind === "line") return { x, y, radius: 0.22 };
  const radius = Math.min(...points.map(([px, py]) => Math.hypot(px - x, py - y)));
  return { x, y, radius: 0.85 * radius };
}

// Of each action the cell in whose middle it is, or -1: a click on a cell, unlike one on a column or a line.
export function cellsOfActions(geometry) {
  const middles = geometry.cells.map(middleOf);
  return geometry.actions.map((shape) => {
    if (shape === null || shape.kind === "line") return -1;
    const { x, y, radius } = middleOf(shape);
    const isSlim = shape.kind === "rect" && Math.max(shape.numbers[2], shape.numbers[3]) > 1.6 * 2 * radius;
    if (isSlim) return -1;
    return middles.findIndex((cell) => Math.hypot(cell.x - x, cell.y - y) < 0.3);
  });
}

// Where numbers about an action are written: in its middle, or at the upper end of a column.
export function placeOfText(shape) {
  const middle = middleOf(shape);
  if (shape.kind !== "rect") return middle;
  const [x, y, width, height] = shape.numbers;
  if (height > 1.6 * width) return { x: x + width / 2, y: y + width / 2, radius: width / 2 };
  if (width > 1.6 * height) return { x: x + height / 2, y: y + height / 2, radius: height / 2 };
  return middle;
}

// The box around everything that is drawn.
export function viewBox(geometry) {
  let left = 0, top = 0, right = geometry.width, bottom = geometry.height;
  for (const { x, y } of geometry.labels) {
    left = Math.min(left, x - 0.3);
    right = Math.max(right, x + 0.3);
    top = Math.min(top, y - 0.3);
    bottom = Math.max(bottom, y + 0.3);
  }
  const margin = 0.12;
  return [left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin];
}
