// The board of any game, drawn from its geometry alone: surface, pieces, the thoughts about it, and where to click.
import { html, useMemo, useState } from "./vendor/htm-preact-standalone.mjs";
import { cellsOfActions, drawn, middleOf, placeOfText, viewBox } from "./shapes.js";
import { count, percent, provenText } from "./text.js";

const LEAST_SHARE = 0.004;
const NUM_NUMBERED = 3;
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function Board({ game, state, thoughts, heat, line, hint, onPlay }) {
  const geometry = game.geometry;
  const [hovered, setHovered] = useState(null);
  // The move that the keys have chosen, shown while the board has the focus.
  const [chosen, setChosen] = useState(null);
  const [hasFocus, setHasFocus] = useState(false);
  const fixed = useMemo(() => html`<${Background} geometry=${geometry} />`, [geometry]);
  const cells = useMemo(() => cellsOfActions(geometry), [geometry]);
  const box = useMemo(() => viewBox(geometry), [geometry]);
  const legal = useMemo(() => new Map(state.legal.map((action, index) => [action, index])), [state.legal]);
  const isTurn = !state.is_over && state.seats[state.mover] === "person";
  const shown = line === null ? [] : line;
  const owners = ownersOf(state, thoughts);
  const target = (event) => {
    const element = event.target.closest("[data-action]");
    return element === null ? null : Number(element.dataset.action);
  };
  const cellOf = (action) => {
    if (cells[action] >= 0) return cells[action];
    const index = legal.get(action);
    return state.places !== null && index !== undefined ? state.places[index] : -1;
  };
  const placeOf = (action) => middleOf(cellOf(action) >= 0 ? geometry.cells[cellOf(action)] : geometry.actions[action]);
  const onKey = (event) => {
    const direction = DIRECTIONS[event.key];
    if (state.is_over || event.ctrlKey || event.metaKey || event.altKey || !(direction || event.key === "Enter")) return;
    // Not also a key of the page, which would leave the position.
    event.stopPropagation();
    event.preventDefault();
    const places = new Map(state.legal.filter((action) => geometry.actions[action] !== null).map((action) => [action, placeOf(action)]));
    if (!isTurn || places.size === 0) return;
    if (direction) setChosen(nextChosen(places, places.has(chosen) ? chosen : null, direction, geometry));
    else if (places.has(chosen)) onPlay(chosen);
  };
  const isChoosing = hasFocus && chosen !== null && legal.has(chosen) && isTurn;
  const isHovering = hovered !== null && legal.has(hovered) && isTurn && shown.length === 0;
  const isHeated = thoughts && heat !== "off";
  const pointed = [isHovering ? hovered : null, isChoosing && shown.length === 0 ? chosen : null].filter((action) => action !== null);
  const ghosts = pointed.map((action) => html`<${Ghost} key=${`ghost-${action}`} geometry=${geometry} cell=${cellOf(action)} action=${action} player=${state.mover} />`);

  return html`
    <svg
      class=${`board surface-${geometry.surface} pieces-${geometry.pieces}`}
      viewBox=${box.join(" ")}
      style=${`aspect-ratio: ${box[2] / box[3]}`}
      role="group"
      aria-label=${`${game.title} board`}
      tabindex="0"
      onKeyDown=${onKey}
      onFocus=${() => setHasFocus(true)}
      onBlur=${() => setHasFocus(false)}
      onMouseDown=${(event) => event.preventDefault()}
      onPointerMove=${(event) => setHovered(event.pointerType === "touch" ? null : target(event))}
      onMouseLeave=${() => setHovered(null)}
      onClick=${(event) => {
        const action = target(event);
        if (action !== null && legal.has(action)) onPlay(action);
      }}
    >
      <defs>
        <radialGradient id="black" cx="36%" cy="30%" r="75%">
          <stop offset="0" stop-color="#555d66" /><stop offset="1" stop-color="#14171a" />
        </radialGradient>
        <radialGradient id="white" cx="36%" cy="30%" r="80%">
          <stop offset="0" stop-color="#ffffff" /><stop offset="1" stop-color="#d3d2cc" />
        </radialGradient>
      </defs>
      ${fixed}
      ${geometry.keeps_moves && html`<${KeptMoves} geometry=${geometry} state=${state} />`}
      <${Pieces} geometry=${geometry} state=${state} />
      ${owners && html`<${Ownership} geometry=${geometry} values=${owners} />`}
      ${isHeated && html`<${Heat} geometry=${geometry} state=${state} thoughts=${thoughts} heat=${heat} cellOf=${cellOf} hidesText=${shown.length > 0} ghosts=${ghosts} />`}
      <${LastMove} geometry=${geometry} state=${state} cells=${cells} />
      ${!isHeated && ghosts}
      ${shown.map(([action, player, cell], index) => html`
        <${Ghost} geometry=${geometry} cell=${cell} action=${action} player=${player} number=${index + 1} />`)}
      ${isChoosing && shown.length === 0 && html`<${ChosenMark} place=${placeOf(chosen)} />`}
      ${hint !== null && shown.length === 0 && html`<${HintMark} geometry=${geometry} action=${hint} cell=${cellOf(hint)} />`}
      <g class="targets">
        ${geometry.actions.map((shape, action) => shape !== null && html`
          <g
            key=${action}
            class=${legal.has(action) && isTurn ? "target legal" : "target"}
            data-action=${action}
            data-name=${game.names[action]}
          >${drawn(shape, {})}</g>`)}
      </g>
    </svg>`;
}

function Background({ geometry }) {
  // Unless lines run along its edges.
  const isRounded = (shape, role) => role === "field" && shape.kind === "rect" && geometry.surface !== "green" && geometry.surface !== "plain";
  return html`
    <g class="background">
      ${geometry.background.map(({ shape, role }) => drawn(shape, isRounded(shape, role) ? { class: role, rx: 0.14 } : { class: role }))}
    </g>
    <g class="labels">
      ${geometry.labels.map(({ x, y, text }) => html`<text x=${x} y=${y}>${text}</text>`)}
    </g>`;
}

// A piece of a player on a cell. part: added to the class.
export function Piece({ pieces, shape, player, part = "" }) {
  const { x, y, radius } = middleOf(shape);
  const name = `piece player-${player} ${part}`;
  if (pieces === "fills") return drawn(shape, { class: `${name} fill` });
  if (pieces === "marks") {
    const r = 0.6 * radius;
    return player === 0
      ? html`<path class=${`${name} mark`} d=${`M${x - r} ${y - r}L${x + r} ${y + r}M${x + r} ${y - r}L${x - r} ${y + r}`} />`
      : html`<circle class=${`${name} mark`} cx=${x} cy=${y} r=${r} />`;
  }
  return html`<circle class=${`${name} ${pieces}`} cx=${x} cy=${y} r=${radius} />`;
}

function Pieces({ geometry, state }) {
  const winning = new Set(state.winning);
  return html`
    <g class="pieces">
      ${state.board.map((owner, cell) => owner > 0 && html`
        <${Piece} key=${`${cell}-${owner}`} pieces=${geometry.pieces} shape=${geometry.cells[cell]} player=${owner - 1}
          part=${state.placed.includes(cell) ? "new" : ""} />`)}
      ${[...winning].map((cell) => {
        const { x, y, radius } = middleOf(geometry.cells[cell]);
        return html`<circle class=${`winning on-player-${state.board[cell] - 1}`} cx=${x} cy=${y} r=${0.55 * radius} />`;
      })}
    </g>`;
}

function KeptMoves({ geometry, state }) {
  return html`
    <g class="kept">
      ${state.line.slice(0, state.at).map((action, index) => geometry.actions[action] !== null &&
        drawn(geometry.actions[action], {
          key: action,
          class: `kept-move player-${state.movers[index]} ${index === state.at - 1 ? "last" : ""}`,
        }))}
    </g>`;
}

function LastMove({ geometry, state, cells }) {
  if (state.at === 0 || state.winning.length > 0) return null;
  const action = state.line[state.at - 1];
  const cell = cells[action] >= 0 ? cells[action] : state.placed.length === 1 ? state.placed[0] : -1;
  if (cell < 0 || geometry.pieces === "fills" || state.board[cell] === 0) return null;
  const { x, y, radius } = middleOf(geometry.cells[cell]);
  return html`<circle class=${`last-move on-player-${state.board[cell] - 1}`} cx=${x} cy=${y} r=${0.3 * radius} />`;
}

// What a move would put on the board. number: of a move in a line.
function Ghost({ geometry, cell, action, player, number = null }) {
  const shape = cell >= 0 ? geometry.cells[cell] : geometry.actions[action];
  if (!shape) return null;
  const { x, y, radius } = middleOf(shape);
  const part = number === null ? "ghost" : "ghost in-line";
  const isLine = cell < 0 && shape.kind !== "circle" && geometry.pieces !== "marks";
  return html`
    <g class="no-pointer">
      ${isLine || geometry.actions[action]?.kind === "line"
        ? drawn(geometry.actions[action], { class: `ghost-shape player-${player} ${part}` })
        : html`<${Piece} pieces=${geometry.pieces} shape=${shape} player=${player} part=${part} />`}
      ${number !== null && html`<text class=${`line-number on-player-${player}`} x=${x} y=${y} font-size=${Math.min(0.42, 1.1 * radius)}>${number}</text>`}
    </g>`;
}

// The next action in a direction: near, and rather straight ahead than aside. Without one before: the middle one.
function nextChosen(places, before, [dx, dy], geometry) {
  const middle = { x: geometry.width / 2, y: geometry.height / 2 };
  const from = before === null ? middle : places.get(before);
  let best = before;
  let least = Infinity;
  for (const [action, { x, y }] of places) {
    const ahead = (x - from.x) * dx + (y - from.y) * dy;
    const aside = Math.abs((x - from.x) * dy) + Math.abs((y - from.y) * dx);
    const cost = before === null ? Math.hypot(x - from.x, y - from.y) : ahead > 0.01 ? ahead + 2 * aside : Infinity;
    if (cost < least) [best, least] = [action, cost];
  }
  return best;
}

function ChosenMark({ place: { x, y, radius } }) {
  const size = 1.9 * radius;
  return html`<rect class="chosen-mark no-pointer" x=${x - size / 2} y=${y - size / 2} width=${size} height=${size} rx="0.1" />`;
}

function HintMark({ geometry, action, cell }) {
  const shape = cell >= 0 ? geometry.cells[cell] : geometry.actions[action];
  if (!shape) return null;
  if (shape.kind === "line") return drawn(shape, { class: "hint-shape no-pointer" });
  const { x, y, radius } = middleOf(shape);
  return html`
    <g class="hint-mark no-pointer">
      <circle class="hint-halo" cx=${x} cy=${y} r=${0.82 * radius} />
      <circle class="hint-ring" cx=${x} cy=${y} r=${0.82 * radius} />
    </g>`;
}

// Whose each cell will be as the agent expects, or at the end, each one without a piece of its owner: 1 the first
// player's, -1 the second's. null: nothing to show.
export function ownersOf(state, thoughts) {
  if (!state.owners) return thoughts?.ownership ?? null;
  const owners = state.owners.map((owner, cell) => (state.board[cell] === (owner > 0 ? 1 : 2) ? 0 : owner));
  return owners.some((owner) => owner !== 0) ? owners : null;
}

function Ownership({ geometry, values }) {
  return html`
    <g class="ownership no-pointer">
      ${values.map((value, cell) => {
        const size = 0.34 * Math.abs(value);
        if (size < 0.05) return null;
        const { x, y } = middleOf(geometry.cells[cell]);
        return html`<rect key=${cell} class=${`owner player-${value > 0 ? 0 : 1}`} x=${x - size / 2} y=${y - size / 2} width=${size} height=${size} />`;
      })}
    </g>`;
}

// How much each action was searched, or how likely the network finds it; numbers on the best ones, above the ghosts.
function Heat({ geometry, state, thoughts, heat, cellOf, hidesText, ghosts }) {
  const shares = heat === "prior" ? thoughts.prior : thoughts.policy;
  const most = Math.max(...shares, 1e-9);
  const placeOf = (action) => {
    const cell = cellOf(action);
    return cell >= 0 ? middleOf(geometry.cells[cell]) : placeOfText(geometry.actions[action]);
  };
  return html`
    <g class="heat no-pointer">
      ${state.legal.map((action, index) => {
        const shape = geometry.actions[action];
        const share = shares[index];
        if (shape === null || !(share > LEAST_SHARE)) return null;
        if (shape.kind === "line") {
          return drawn(shape, { key: action, class: "heat-line", style: { opacity: 0.05 + (0.6 * share) / most } });
        }
        const opacity = 0.1 + 0.65 * Math.sqrt(share / most);
        const { x, y, radius } = placeOf(action);
        return html`<circle key=${action} class="heat-spot" cx=${x} cy=${y} r=${0.92 * radius} style=${{ opacity }} />`;
      })}
      ${ghosts}
      ${!hidesText && figures(thoughts, state.legal, heat).map(({ action, text, below }, order) => {
        const shape = geometry.actions[action];
        if (shape === null) return null;
        const isLine = shape.kind === "line";
        const { x, y, radius } = isLine ? middleOf(shape) : placeOf(action);
        const size = Math.min(0.34, 0.68 * radius);
        if (isLine && order > 0) return null;
        return html`
          <g key=${`text-${action}`} class=${`figures ${order === 0 ? "best" : ""}`}>
            <text x=${x} y=${below === null ? y : y - 0.42 * size} font-size=${size} class="winrate">${text}</text>
            ${below !== null && html`<text x=${x} y=${y + 0.62 * size} font-size=${0.72 * size}>${below}</text>`}
          </g>`;
      })}
    </g>`;
}

// What is written on the best moves: how likely the network finds them, or what they are worth and their visits.
function figures(thoughts, legal, heat) {
  if (heat === "prior") {
    return legal.map((action, index) => ({ action, share: thoughts.prior[index] }))
      .sort((one, other) => other.share - one.share).slice(0, NUM_NUMBERED)
      .map(({ action, share }) => ({ action, text: percent(share), below: null }));
  }
  return thoughts.moveInfos.slice(0, NUM_NUMBERED).filter(({ visits }, order) => visits > 0 || order === 0)
    .map((info) => ({ action: info.action, text: worthOf(info), below: count(info.visits) }));
}

function worthOf(info) {
  if (info.is_proven) return provenText(info.winrate);
  return info.winrate === null || info.visits === 0 ? "" : percent(info.winrate);
}
