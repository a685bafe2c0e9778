// How the training of the agent's run goes: curves, strength by minute; a game that it played against itself is replayed.
import { html, useEffect, useState } from "./vendor/htm-preact-standalone.mjs";
import { Graph, colorOf } from "./graph.js";
import { count, duration } from "./text.js";

const POLL_SECONDS = 5;
const PLAY_POLL_SECONDS = 15;
const MOVE_SECONDS = 0.8;
const PAUSE_SECONDS = 3;
const SILENT_SECONDS = 120;
const NUM_REPLAYED = 30;

// Ask for the training of an agent as long as it is shown. Returns what is known, or null, and what is wrong, or null.
export function useTraining(agentKey, isShown) {
  const [training, setTraining] = useState(null);
  const [fault, setFault] = useState(null);
  useEffect(() => {
    setTraining(null);
    if (!isShown) return undefined;
    let isGone = false;
    let timer = null;
    async function ask() {
      try {
        const answer = await fetch(`/training?agent=${encodeURIComponent(agentKey)}`);
        if (!answer.ok) throw new Error(await answer.text());
        const found = await answer.json();
        if (!isGone) {
          setTraining(found);
          setFault(null);
        }
      } catch (error) {
        if (!isGone) setFault(error.message);
      }
      if (!isGone) timer = setTimeout(ask, 1000 * POLL_SECONDS);
    }
    ask();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [agentKey, isShown]);
  return [training, fault];
}

// Ask again and again for what trainings have added: games, runs, and agents of the game with their checkpoints.
export function useOffered(gameKey, isInTraining, onOffered) {
  useEffect(() => {
    if (gameKey === null) return undefined;
    let isGone = false;
    async function ask() {
      if (document.hidden) return;
      const answer = await fetch(`/offered?game=${encodeURIComponent(gameKey)}`).catch(() => null);
      // Without an answer: the connection says what is wrong, or the next one comes.
      const offered = answer?.ok ? await answer.json().catch(() => null) : null;
      if (!isGone && offered !== null) onOffered(offered);
    }
    if (isInTraining) ask();
    const timer = setInterval(ask, 1000 * (isInTraining ? POLL_SECONDS : PLAY_POLL_SECONDS));
    return () => {
      isGone = true;
      clearInterval(timer);
    };
  }, [gameKey, isInTraining]);
}

// Which run's training is shown; nothing if there is no choice.
export function RunChooser({ runs, chosen, onChoose }) {
  if (runs.length === 0 || (runs.length === 1 && runs[0].key === chosen)) return null;
  const isKnown = runs.some((run) => run.key === chosen);
  return html`
    <section class="card opponent"><header><h2>Run</h2></header>
      <select aria-label="Run" value=${isKnown ? chosen : ""} onChange=${(e) => onChoose(e.target.value)}>
        ${!isKnown && html`<option value="" disabled>choose a run</option>`}
        ${runs.map((run) => html`<option key=${run.key} value=${run.key}>${run.title}${run.has_checkpoint ? "" : " (no checkpoint yet)"}</option>`)}
      </select>
    </section>`;
}

// Replay stored games, one after the other.
export function useReplay({ isShown, state, stored, hasRun, onAskStored, onOpenStored, onJump }) {
  const isAtEnd = state !== null && state.at === state.line.length;
  useEffect(() => {
    if (!isShown || state === null || !hasRun) return undefined;
    // A new list each time: the training goes on.
    const next = () => onAskStored();
    const isEmpty = state.line.length === 0;
    const timer = isAtEnd
      ? setTimeout(next, isEmpty ? 0 : 1000 * PAUSE_SECONDS)
      : setTimeout(() => onJump(state.at + 1), 1000 * MOVE_SECONDS);
    return () => clearTimeout(timer);
  }, [isShown, state?.position, hasRun]);
  useEffect(() => {
    if (!isShown || stored === null || stored.length === 0) return;
    const newest = stored.slice(0, NUM_REPLAYED);
    onOpenStored(newest[Math.floor(Math.random() * newest.length)].key);
  }, [isShown, stored]);
}

export function TrainingPanel({ training, fault, theme, title }) {
  if (training === null) {
    return html`<section class="card training"><header><h2>Training</h2></header><p class="small">${fault || "…"}</p></section>`;
  }
  const { counters, strength, anchor, curves } = training;
  const facts = [
    ["state", stateOf(training)],
    ["time", counters.minutes === undefined ? null : duration(counters.minutes)],
    ["games", counters.episodes === undefined ? null : count(counters.episodes)],
    ["positions", counters.samples === undefined ? null : count(counters.samples)],
    ["updates", counters.learner_step === undefined ? null : count(counters.learner_step)],
  ].filter(([, value]) => value !== null);
  return html`
    <section class="card training">
      <header><h2>Training of ${title}</h2></header>
      <dl class="outlook">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    </section>
    <section class="card">
      <header><h2>Strength by minute</h2><span class="small">${anchor === null ? "" : `Elo relative to ${anchor}`}</span></header>
      ${strength.length === 0
        ? html`<p class="small">This run has played no matches yet.</p>`
        : html`<${Strength} strength=${strength} theme=${theme} />`}
    </section>
    <section class="card">
      <header><h2>Curves</h2><span class="small">by update</span></header>
      ${curves.length === 0 && html`<p class="small">There are no curves yet.</p>`}
      <div class="curves">
        ${curves.map((curve) => html`<${Curve} key=${curve.tag} curve=${curve} theme=${theme} />`)}
      </div>
    </section>`;
}

function stateOf({ state, silent_seconds: silent }) {
  if (state === null) return "unknown";
  const isLive = state !== "finished" && state !== "stopped" && state !== "failed";
  return isLive && silent > SILENT_SECONDS ? "silent" : state;
}

export function valueText(value, unit) {
  if (unit === "share") return `${(100 * value).toFixed(1)}%`;
  const size = Math.abs(value);
  const text = size >= 1000 ? count(Math.round(value)) : size >= 10 ? value.toFixed(1) : value.toPrecision(3);
  return unit === "1/s" ? `${text}/s` : unit ? `${text} ${unit}` : text;
}

const FONT = "11px system-ui, sans-serif";

function axes(formatted) {
  const [faint, edge] = ["--faint", "--edge"].map(colorOf);
  return [
    { stroke: faint, grid: { show: false }, ticks: { show: false }, font: FONT, size: 20, space: 34, values: (plot, splits) => splits.map((value) => count(value)) },
    { stroke: faint, grid: { stroke: edge, width: 1 }, ticks: { show: false }, font: FONT, size: 46, values: (plot, splits) => splits.map(formatted) },
  ];
}

function Curve({ curve, theme }) {
  const make = () => ({
    legend: { show: false },
    cursor: { show: false },
    padding: [6, 16, 0, 0],
    scales: { x: { time: false } },
    axes: axes((value) => valueText(value, curve.unit === "share" ? "share" : "")),
    series: [{}, { stroke: colorOf("--accent"), width: 1.6, points: { show: false } }],
  });
  const [group, name] = curve.tag.split("/");
  return html`
    <figure title=${curve.description}>
      <figcaption><span>${group.replaceAll("_", " ")}: ${name.replaceAll("_", " ")}</span><b>${valueText(curve.newest, curve.unit)}</b></figcaption>
      <${Graph} make=${make} data=${[curve.steps, curve.values]} height=${110} label=${`${curve.tag}, now ${valueText(curve.newest, curve.unit)}`} identity=${`${theme} ${curve.tag}`} />
      <p class="small for-touch">${curve.description}</p>
    </figure>`;
}

function Strength({ strength, theme }) {
  const data = [
    strength.map((model) => model.minutes), strength.map((model) => model.elo),
    strength.map((model) => model.low), strength.map((model) => model.high),
  ];
  const make = () => {
    const accent = colorOf("--accent");
    const line = { stroke: `${accent}00`, points: { show: false } };
    return {
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 24, 0, 0],
      scales: { x: { time: false, range: (plot, low, high) => [0, high > 0 ? 1.05 * high : 1] } },
      axes: axes((value) => value.toFixed(0)).map((axis, index) => (index === 0 ? { ...axis, values: (plot, splits) => splits.map((value) => `${value} min`) } : axis)),
      bands: [{ series: [3, 2], fill: `${accent}22` }],
      series: [{}, { stroke: accent, width: 2, points: { show: true, size: 6, fill: accent } }, line, line],
    };
  };
  const last = strength[strength.length - 1];
  return html`<${Graph} make=${make} data=${data} height=${170} identity=${theme} label=${`strength by minute, now ${last.elo.toFixed(0)} Elo`} />`;
}
