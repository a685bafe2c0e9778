// A short tree search: PUCT of AlphaZero (Silver et al., 2018) with the constants of the run, several leaves in one
// batch of the network, and proven results, which no further simulation doubts. The tree is kept from move to move.
import { GOING_ON, resultOf } from "./games/stones.js";

const MOST_LEAVES = 8;
// Leaves of a batch: one for so many simulations before it, for in a small tree they would be of bad moves.
const SIMULATIONS_PER_LEAF = 8;
const LONGEST_LINE = 12;

// Values are expected results in [-1, 1] of the node's mover.
class Node {
  constructor(game, position) {
    this.position = position;
    const isOver = position.status !== GOING_ON;
    this.proven = isOver ? resultOf(position, position.mover) : null;
    this.value = isOver ? this.proven : 0;
    this.isEvaluated = isOver;
    this.actions = [];
    if (!isOver) game.legal(position).forEach((is, action) => { if (is) this.actions.push(action); });
    const length = this.actions.length;
    this.priors = new Float64Array(length);
    this.visits = new Int32Array(length);
    this.totals = new Float64Array(length);
    this.children = new Array(length).fill(null);
    this.visitSum = 0;
    this.outcome = null; // the network's probabilities of win, draw and loss
  }

  // The mean result of an action.
  q(index) {
    const child = this.children[index];
    if (child !== null && child.proven !== null) return -child.proven;
    return this.totals[index] / this.visits[index];
  }

  get mean() {
    if (this.proven !== null) return this.proven;
    return (this.value + this.totals.reduce((sum, total) => sum + total, 0)) / (1 + this.visitSum);
  }
}

export class Search {
  // evaluate: async (positions) -> [{ logits, outcome }]. settings: c_puct, c_puct_base, first_play_reduction.
  constructor(game, evaluate, settings) {
    this.game = game;
    this.evaluate = evaluate;
    this.settings = settings;
  }

  begin(position) {
    this.root = new Node(this.game, position);
  }

  // Go on with the position after a move, and keep what is known of it.
  advance(action) {
    const child = this.root.children[this.root.actions.indexOf(action)];
    this.root = child ?? new Node(this.game, this.game.play(this.root.position, action));
  }

  // Search until the tree has so many simulations. onBatch: called after each batch; returns whether to go on.
  async think(simulations, onBatch = () => true) {
    if (!this.root.isEvaluated) await this.#evaluateAll([[this.root]]);
    while (this.root.visitSum < simulations && this.root.proven === null) {
      await this.#batch(simulations - this.root.visitSum);
      if (!(await onBatch())) return;
    }
  }

  async #batch(most) {
    const wanted = Math.max(1, Math.min(most, MOST_LEAVES, Math.floor(this.root.visitSum / SIMULATIONS_PER_LEAF)));
    const paths = [];
    for (let attempt = 0; attempt < wanted; attempt++) {
      const path = this.#descend();
      if (path.at(-1).node.isEvaluated) this.#backUp(path); // the end of a game, or a proven result
      else if (paths.some((other) => other.at(-1).node === path.at(-1).node)) {
        this.#undo(path);
        break;
      } else paths.push(path);
    }
    if (paths.length === 0) return;
    await this.#evaluateAll(paths.map((path) => [path.at(-1).node]));
    for (const path of paths) this.#backUp(path);
  }

  // Go down to a leaf; each step counts as a lost visit until its result is known. Returns steps {node, index}.
  #descend() {
    const path = [{ node: this.root, index: -1 }];
    let node = this.root;
    while (node.isEvaluated && node.proven === null) {
      const index = this.#select(node);
      path.at(-1).index = index;
      node.visits[index]++;
      node.visitSum++;
      node.totals[index]--;
      node.children[index] ??= new Node(this.game, this.game.play(node.position, node.actions[index]));
      node = node.children[index];
      path.push({ node, index: -1 });
    }
    return path;
  }

  #select(node) {
    const { c_puct, c_puct_base, first_play_reduction } = this.settings;
    const nodeVisits = 1 + node.visitSum;
    const exploration = (c_puct + Math.log((nodeVisits + c_puct_base) / c_puct_base)) * Math.sqrt(nodeVisits);
    let visitedPrior = 0, total = node.value;
    node.visits.forEach((visits, index) => {
      if (visits > 0) visitedPrior += node.priors[index];
      total += node.totals[index];
    });
    const unvisited = total / nodeVisits - first_play_reduction * Math.sqrt(visitedPrior);
    let best = -1, bestScore = -Infinity;
    for (let index = 0; index < node.actions.length; index++) {
      if (node.children[index]?.proven === 1) continue; // a proven loss
      const q = node.visits[index] > 0 ? node.totals[index] / node.visits[index] : unvisited;
      const score = q + (exploration * node.priors[index]) / (1 + node.visits[index]);
      if (score > bestScore) [best, bestScore] = [index, score];
    }
    return best;
  }

  #backUp(path) {
    let result = path.at(-1).node.value;
    if (path.at(-1).node.proven !== null) result = path.at(-1).node.proven;
    for (let depth = path.length - 2; depth >= 0; depth--) {
      const { node, index } = path[depth];
      result = -result;
      node.totals[index] += 1 + result;
      prove(node);
      if (node.proven !== null) result = node.proven;
    }
  }

  #undo(path) {
    for (const { node, index } of path.slice(0, -1)) {
      node.visits[index]--;
      node.visitSum--;
      node.totals[index]++;
    }
  }

  async #evaluateAll(nodes) {
    const answers = await this.evaluate(nodes.map(([node]) => node.position));
    nodes.forEach(([node], row) => {
      const { logits, outcome } = answers[row];
      const legal = node.actions.map((action) => logits[action]);
      const most = Math.max(...legal);
      const weights = legal.map((logit) => Math.exp(logit - most));
      const sum = weights.reduce((one, other) => one + other, 0);
      weights.forEach((weight, index) => { node.priors[index] = weight / sum; });
      node.outcome = outcome;
      node.value = outcome[0] - outcome[2];
      node.isEvaluated = true;
    });
  }

  // What the search has found: moves with the best one first, and the result that it expects, for the mover.
  thoughts() {
    const { root } = this;
    const moves = root.actions.map((action, index) => ({
      action,
      prior: root.priors[index],
      visits: root.visits[index],
      value: root.visits[index] > 0 || root.children[index]?.proven != null ? root.q(index) : root.mean,
      isProven: root.children[index]?.proven != null,
      line: this.#line(index),
    }));
    const rank = (move) => (move.isProven ? (move.value > 0 ? 2 : move.value < 0 ? -1 : 0) : 0);
    moves.sort((a, b) => rank(b) - rank(a) || b.visits - a.visits || b.prior - a.prior);
    return { moves, visits: root.visitSum, value: root.mean, isProven: root.proven !== null, outcome: outcomeOf(root) };
  }

  // A move and the most visited ones after it.
  #line(first) {
    const line = [this.root.actions[first]];
    let node = this.root.children[first];
    while (node !== null && node.visitSum > 0 && line.length < LONGEST_LINE) {
      const index = node.visits.indexOf(Math.max(...node.visits));
      line.push(node.actions[index]);
      node = node.children[index];
    }
    return line;
  }
}

// Prove a node: won with one proven win, and otherwise when the results of all its moves are proven.
function prove(node) {
  let best = -1, areAllProven = true;
  for (const child of node.children) {
    if (child === null || child.proven === null) areAllProven = false;
    else best = Math.max(best, -child.proven);
  }
  if (best === 1 || areAllProven) node.proven = best;
}

// Win, draw and loss: the draws as the network sees them, the rest as the search does.
function outcomeOf(node) {
  const value = node.mean;
  const isKnown = node.proven !== null || node.outcome === null;
  const draw = isKnown ? 1 - Math.abs(value) : Math.min(node.outcome[1], 1 - Math.abs(value));
  return [(1 - draw + value) / 2, draw, (1 - draw - value) / 2];
}
