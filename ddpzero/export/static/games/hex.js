// Hex, as ddpzero/games/hex.py has it: the first player joins top and bottom, the second one left and right.
import { GOING_ON, observeStones } from "./stones.js";

const NEIGHBORS = [[0, -1], [0, 1], [-1, 0], [1, 0], [-1, 1], [1, -1]];
const FIRST_EDGE = 1; // top or left
const LAST_EDGE = 2; // bottom or right

export function hex({ size, swap }) {
  const numCells = size * size;
  const maySwap = (position) => swap && position.plies === 1;

  // isTurned: in the order in which the second player sees them, whose rows are columns.
  function neighbors(cell, isTurned) {
    const [row, column] = [Math.floor(cell / size), cell % size];
    return NEIGHBORS.map(([down, right]) => (isTurned ? [row + right, column + down] : [row + down, column + right]))
      .filter(([r, c]) => r >= 0 && r < size && c >= 0 && c < size)
      .map(([r, c]) => r * size + c);
  }
  const neighborsOf = Array.from({ length: numCells }, (_, cell) => neighbors(cell, false));

  // How far a cell is from its player's first edge.
  const along = (player, cell) => (player === 1 ? Math.floor(cell / size) : cell % size);

  // Of each cell the edges of its player that its stone is joined with.
  function joinedEdges(cells) {
    const joined = new Uint8Array(numCells);
    for (const [edge, distance] of [[FIRST_EDGE, 0], [LAST_EDGE, size - 1]]) {
      const waiting = [];
      cells.forEach((player, cell) => {
        if (player !== 0 && along(player, cell) === distance) waiting.push(cell);
      });
      while (waiting.length > 0) {
        const cell = waiting.pop();
        if (joined[cell] & edge) continue;
        joined[cell] |= edge;
        waiting.push(...neighborsOf[cell].filter((other) => cells[other] === cells[cell] && !(joined[other] & edge)));
      }
    }
    return joined;
  }

  // A shortest chain of a player's stones from one edge to the other; empty if there is none.
  function chain(cells, player) {
    const before = new Map();
    const waiting = [];
    cells.forEach((stone, cell) => {
      if (stone === player && along(player, cell) === 0) {
        before.set(cell, -1);
        waiting.push(cell);
      }
    });
    for (let next = 0; next < waiting.length; next++) {
      let cell = waiting[next];
      if (along(player, cell) === size - 1) {
        const found = [];
        for (; cell >= 0; cell = before.get(cell)) found.push(cell);
        return found.sort((a, b) => a - b);
      }
      for (const other of neighbors(cell, player === 2)) {
        if (cells[other] === player && !before.has(other)) {
          before.set(other, cell);
          waiting.push(other);
        }
      }
    }
    return [];
  }

  return {
    numActions: numCells,
    inputShape: [swap ? 7 : 6, size, size],

    start: () => ({
      cells: new Uint8Array(numCells), joined: new Uint8Array(numCells), mover: 0, status: GOING_ON, plies: 0,
    }),

    legal(position) {
      const isOver = position.status !== GOING_ON;
      return Array.from(position.cells, (stone) => !isOver && (stone === 0 || maySwap(position)));
    },

    play(position, action) {
      const cells = position.cells.slice();
      let cell = action;
      if (cells[action] !== 0) { // a swap
        cells[action] = 0;
        cell = (action % size) * size + Math.floor(action / size);
      }
      cells[cell] = position.mover + 1;
      const joined = joinedEdges(cells);
      const status = joined[cell] === (FIRST_EDGE | LAST_EDGE) ? position.mover + 1 : GOING_ON;
      return { cells, joined, mover: 1 - position.mover, status, plies: position.plies + 1 };
    },

    observe(position, planes, at) {
      const { cells, joined, mover } = position;
      observeStones(position, planes, at);
      for (let cell = 0; cell < numCells; cell++) {
        const isJoined = joined[cell] !== 0;
        planes[at + 3 * numCells + cell] = mover === 0 ? 1 : 0;
        planes[at + 4 * numCells + cell] = isJoined && cells[cell] === mover + 1 ? 1 : 0;
        planes[at + 5 * numCells + cell] = isJoined && cells[cell] === 2 - mover ? 1 : 0;
        if (swap) planes[at + 6 * numCells + cell] = maySwap(position) ? 1 : 0;
      }
    },

    winningCells({ cells, status }) {
      return status === GOING_ON ? [] : chain(cells, status);
    },
  };
}
