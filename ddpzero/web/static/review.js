// The review of a game: the graph of its values, what each move lost, the worst moves, and riddles made of them.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact-standalone.mjs";
import { Graph, colorOf } from "./graph.js";
import { percent, playerNames } from "./text.js";

const DOUBTFUL = 0.05;
const NUM_WORST = 6;
const WHOLE_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
export const USUAL_DEPTH = 150;
const DEPTHS = [[30, "quick"], [USUAL_DEPTH, "usual"], [800, "thorough"]];

// What the messages "review" said so far. line: the moves that are reviewed.
export function withReviewed(review, message, line) {
  const fresh = message.ply === 0 ? { line, total: message.moves, positions: [], moves: [] } : review;
  if (fresh === null || message.ply !== fresh.positions.length) return review;
  return {
    ...fresh,
    positions: [...fresh.positions, message.position],
    moves: message.move === null ? fresh.moves : [...fresh.moves, message.move],
  };
}

export const isSameLine = (one, other) => one.length === other.length && one.every((action, index) => action === other[index]);

export function worstMoves(review) {
  return review.moves.filter((move) => move.loss >= DOUBTFUL).sort((a, b) => b.loss - a.loss).slice(0, NUM_WORST);
}

export function ReviewPanel({ game, state, review, riddle, theme, onAsk, onJump, onHover, onRiddle }) {
  const [depth, setDepth] = useState(USUAL_DEPTH);
  const names = playerNames(game.geometry);
  const isCurrent = review !== null && isSameLine(review.line, state.line);
  const isDone = isCurrent && review.positions.length === review.total + 1;
  const worst = isCurrent ? worstMoves(review) : [];
  return html`
    <section class="card review">
      <header>
        <h2>Review</h2>
      </header>
      ${isCurrent
        ? html`<${Values} game=${game} review=${review} at=${state.at} theme=${theme} onJump=${onJump} />
            <p class="small">${isDone ? `${averages(review, names)}${exactly(review)}` : `${review.positions.length} of ${review.total + 1} positions …`}</p>`
        : html`<p class="hint-text small">${state.line.length === 0
            ? "Play a game, or open one below: then the agent looks at each of its moves."
            : "The agent looks at each move of this game: what it expected, what the move lost, what was better."}</p>`}
      <div class="row">
        <select aria-label="Depth of the review" value=${depth} onChange=${(e) => setDepth(Number(e.target.value))}>
          ${DEPTHS.map(([simulations, text]) => html`<option key=${simulations} value=${simulations}>${text}: ${simulations} simulations</option>`)}
        </select>
        <button class=${isCurrent ? "" : "primary"} disabled=${state.line.length === 0} onClick=${() => onAsk(depth)}>${isCurrent ? "Again" : "Review"}</button>
      </div>
      ${isCurrent && html`
        <ol class="worst" onMouseLeave=${() => onHover(null)}>
          ${worst.map((move) => html`
            <li key=${move.ply}>
              <button class="plain" onClick=${() => onJump(move.ply)}
                onMouseEnter=${() => state.at === move.ply && riddle === null && onHover(move.best_steps)}>
                <span class="number">${move.ply + 1}</span>
                <span class="played">${move.name}</span>
                <span class="lost">−${percent(move.loss)}${move.is_exact ? " exact" : move.is_certain ? " certain" : ""}</span>
                <span class="better small">${riddle === null ? `better: ${move.best_line_names.slice(0, 4).join(" ")}` : ""}</span>
              </button>
            </li>`)}
          ${isDone && worst.length === 0 && html`<li class="small">No move lost as much as 5%.</li>`}
        </ol>
        ${isDone && worst.length > 0 && riddle === null && html`<button class="wide" onClick=${() => onRiddle("begin")}>Find the better move</button>`}`}
    </section>`;
}

function averages(review, names) {
  const mean = (player) => {
    const lost = review.moves.filter((move) => move.player === player).map((move) => move.loss);
    return lost.length === 0 ? "–" : `${(100 * lost.reduce((a, b) => a + b, 0) / lost.length).toFixed(1)}%`;
  };
  return `Lost on average by a move of ${names[0]}: ${mean(0)}, of ${names[1]}: ${mean(1)}`;
}

function exactly({ moves }) {
  const number = moves.filter((move) => move.is_exact).length;
  return number === 0 ? "" : `; of ${moves.length} moves, what ${number} lost is exact, by a table of perfect play`;
}

// Asks for the better move under the board, where it is to be found.
export function Riddle({ riddle, onRiddle }) {
  const place = useRef(null);
  useEffect(() => place.current.parentElement.scrollIntoView({ block: "nearest" }), [riddle.index]);
  return html`
    <div class="riddle" ref=${place}>
      <p role="status">${riddle.text}</p>
      <div class="row">
        ${!riddle.isSolved && html`<button onClick=${() => onRiddle("show")}>Show it</button>`}
        <button class=${riddle.isSolved ? "primary" : ""} onClick=${() => onRiddle("next")}>Next</button>
        <button onClick=${() => onRiddle("end")}>Done</button>
      </div>
    </div>`;
}

// The win rate of the first player at each position, and below it what each move lost, in the color of who made it.
function Values({ game, review, at, theme, onJump }) {
  const names = playerNames(game.geometry);
  const data = useMemo(() => {
    const plies = Array.from({ length: review.total + 1 }, (_, ply) => ply);
    const lossOf = (player) => plies.map((ply) => {
      const move = ply === 0 ? undefined : review.moves[ply - 1];
      return move !== undefined && move.player === player && move.loss > 0 ? -move.loss : null;
    });
    return [plies, plies.map((ply) => review.positions[ply]?.win_rate ?? null), lossOf(0), lossOf(1)];
  }, [review]);
  const box = useRef(null);
  return html`
    <div class=${`values surface-${game.geometry.surface} pieces-${game.geometry.pieces}`} ref=${box}>
      <${Graph} label=${`chance of ${names[0]} to win, by move`} height=${170} identity=${`${theme} ${review.total} ${game.key}`}
        data=${data} at=${at} onJump=${onJump}
        make=${(uPlot, latest) => graphOptions(uPlot, latest, names, box.current)} />
      <p class="small legend">Line: ${names[0]}’s chance to win. Bars below: what a move lost of its player’s chance (<span class="bar-key player-0"></span> ${names[0]}, <span class="bar-key player-1"></span> ${names[1]}).</p>
    </div>`;
}

function graphOptions(uPlot, latest, names, element) {
  const style = getComputedStyle(element);
  const color = (name, other) => style.getPropertyValue(name).trim() || style.getPropertyValue(other).trim();
  const [first, second] = [color("--bar-first", "--first"), color("--bar-second", "--second")];
  const [ink, faint, edge, accent] = ["--ink", "--faint", "--edge", "--accent"].map(colorOf);
  const bars = uPlot.paths.bars({ size: [0.8, 14], align: 0 });
  const font = "11px system-ui, sans-serif";
  return {
    legend: { show: false },
    padding: [6, 8, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    // Room for the whole bar of the last move.
    scales: { x: { time: false, range: (plot, first, last) => [first, last + 0.5] }, y: { range: (plot) => [-1.04 * lowest(plot), 1.02] } },
    axes: [
      { stroke: faint, grid: { show: false }, ticks: { show: false }, font, size: 22, incrs: WHOLE_STEPS },
      {
        stroke: faint, grid: { stroke: edge, width: 1 }, ticks: { show: false }, font, size: 40,
        splits: (plot) => [-lowest(plot), 0, 0.5, 1],
        values: (plot) => [`−${percent(lowest(plot))}`, "0%", "50%", "100%"],
      },
    ],
    series: [
      {},
      { label: names[0], stroke: accent, width: 2, fill: `${accent}22`, fillTo: 0.5, points: { show: false } },
      { label: `lost by ${names[0]}`, fill: first, stroke: faint, width: 0.5, paths: bars, fillTo: 0, points: { show: false } },
      { label: `lost by ${names[1]}`, fill: second, stroke: faint, width: 0.5, paths: bars, fillTo: 0, points: { show: false } },
    ],
    hooks: {
      ready: [(plot) => {
        plot.over.style.cursor = "pointer";
        plot.over.addEventListener("click", () => plot.cursor.idx !== null && latest().onJump(plot.cursor.idx));
      }],
      draw: [(plot) => {
        const x = Math.round(plot.valToPos(latest().at, "x", true));
        plot.ctx.save();
        plot.ctx.strokeStyle = ink;
        plot.ctx.lineWidth = devicePixelRatio;
        plot.ctx.beginPath();
        plot.ctx.moveTo(x, plot.bbox.top);
        plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
        plot.ctx.stroke();
        plot.ctx.restore();
      }],
    },
  };
}

// How far down the bars of the losses go.
function lowest(plot) {
  const lost = Math.max(0, ...[...plot.data[2], ...plot.data[3]].map((value) => -(value ?? 0)));
  return Math.max(0.25, Math.ceil(10 * lost) / 10);
}

// Open a game of a file, of the clipboard or of the run's store; save the one on the board.
export function GamesPanel({ game, state, stored, hasRun, onOpen, onOpenFile, onSave, onAskStored, onOpenStored }) {
  const [text, setText] = useState("");
  const names = playerNames(game.geometry);
  const resultOf = ({ winner, is_proven: isProven }) => {
    const won = winner === "draw" ? "Draw" : `${names[winner === "first" ? 0 : 1]} won`;
    return `${won}${isProven ? ", as was proven" : ""}`;
  };
  return html`
    <section class="card games">
      <header><h2>Games</h2></header>
      <div class="row">
        <label class="file-button">Open a file<input type="file" accept=".sgf,.txt,text/plain" onChange=${(e) => {
          const file = e.target.files[0];
          if (file) onOpenFile(file);
          e.target.value = "";
        }} /></label>
        <button disabled=${state.line.length === 0} onClick=${onSave}>Download</button>
      </div>
      <details>
        <summary>Paste a game</summary>
        <textarea rows="3" spellcheck="false" aria-label="A game as SGF, or a list of moves" placeholder="SGF, or moves: d d c e …" value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
        <button disabled=${text.trim() === ""} onClick=${() => onOpen(text)}>Open</button>
      </details>
      ${hasRun && html`
        <details onToggle=${(e) => e.target.open && onAskStored()}>
          <summary>Games that the agent played against itself</summary>
          <ol class="stored">
            ${(stored || []).map((one) => html`
              <li key=${one.key}><button class="plain" onClick=${() => onOpenStored(one.key)}>
                <span>${resultOf(one)}</span>
                <span class="small">${one.length} moves</span>
              </button></li>`)}
          </ol>
        </details>`}
    </section>`;
}

export function saveFile({ name, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
