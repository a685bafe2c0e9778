// The games of this page by their names, with the parameters of ddpzero's.
//
// A game has numActions, inputShape [C, H, W], start(), legal(position) -> booleans, play(position, action),
// observe(position, planes, at), which writes the network's input, and winningCells(position).
import { connectFour } from "./connect_four.js";
import { gomoku } from "./gomoku.js";
import { hex } from "./hex.js";
import { othello } from "./othello.js";

const GAMES = { connect_four: connectFour, gomoku, hex, othello };

export function makeGame({ name, parameters }) {
  return GAMES[name](parameters);
}
