// What the games share: the status of a position, lines of equal stones, planes of stones.
//
// A position has cells (0 empty, 1 first player, 2 second player), mover (0 or 1) and status, and is never changed.

export const GOING_ON = 0;
export const DRAW = 3; // 1 and 2: that player has won

// The result of a player (0 or 1) in a finished game: 1 win, 0 draw, -1 loss.
export function resultOf(position, player) {
  if (position.status === DRAW) return 0;
  return position.status === player + 1 ? 1 : -1;
}

function runLength(cells, cell, stride, room) {
  let length = 0;
  while (length < room && cells[cell + (length + 1) * stride] === cells[cell]) length++;
  return length;
}

// Whether the stone on (row, column) is part of `line` equal stones in a row. exact: longer rows do not count.
export function makesLine(cells, rows, columns, row, column, line, exact) {
  const cell = row * columns + column;
  const [up, down, left, right] = [row, rows - 1 - row, column, columns - 1 - column];
  const directions = [
    [1, right, left],
    [columns, down, up],
    [columns + 1, Math.min(down, right), Math.min(up, left)],
    [columns - 1, Math.min(down, left), Math.min(up, right)],
  ];
  return directions.some(([stride, ahead, behind]) => {
    const length = 1 + runLength(cells, cell, stride, ahead) + runLength(cells, cell, -stride, behind);
    return exact ? length === line : length >= line;
  });
}

// The cells of all lines of `line` or more equal stones, sorted.
export function cellsInLines(cells, rows, columns, line, exact) {
  const stone = (row, column) =>
    row >= 0 && row < rows && column >= 0 && column < columns ? cells[row * columns + column] : 0;
  const found = new Set();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const player = stone(row, column);
      for (const [down, right] of [[0, 1], [1, 0], [1, 1], [1, -1]]) {
        if (player === 0 || stone(row - down, column - right) === player) continue;
        const run = [];
        while (stone(row + run.length * down, column + run.length * right) === player) {
          run.push((row + run.length * down) * columns + column + run.length * right);
        }
        if (run.length === line || (run.length > line && !exact)) run.forEach((cell) => found.add(cell));
      }
    }
  }
  return [...found].sort((a, b) => a - b);
}

// Write three planes from `at` on: the mover's stones, the opponent's stones, ones.
export function observeStones(position, planes, at) {
  const { cells, mover } = position;
  const size = cells.length;
  for (let cell = 0; cell < size; cell++) {
    planes[at + cell] = cells[cell] === mover + 1 ? 1 : 0;
    planes[at + size + cell] = cells[cell] === 2 - mover ? 1 : 0;
    planes[at + 2 * size + cell] = 1;
  }
}
