// Graphs by uPlot, which is loaded only when a graph is shown.
import { html, useEffect, useRef } from "./vendor/htm-preact-standalone.mjs";

let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = "/static/vendor/uPlot.min.css";
    const script = document.createElement("script");
    script.src = "/static/vendor/uPlot.iife.min.js";
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(style, script);
  });
  return loading;
}

export const colorOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// make: given uPlot and a function for the newest properties, returns its options without a size. data: as uPlot has it.
// identity: a graph with another one is made anew.
export function Graph({ make, data, height, label, identity, ...rest }) {
  const place = useRef(null);
  const plot = useRef(null);
  const latest = useRef(rest);
  latest.current = rest;
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    let isGone = false;
    let observer = null;
    load().then((uPlot) => {
      if (isGone) return;
      const width = place.current.clientWidth;
      plot.current = new uPlot({ ...make(uPlot, () => latest.current), width, height }, newest.current, place.current);
      observer = new ResizeObserver(() => plot.current?.setSize({ width: place.current.clientWidth, height }));
      observer.observe(place.current);
    });
    return () => {
      isGone = true;
      observer?.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [identity]);
  useEffect(() => { plot.current?.setData(data); }, [data]);
  useEffect(() => { plot.current?.redraw(false); });
  return html`<div class="graph" style=${`height: ${height}px`} ref=${place} role="img" aria-label=${label}></div>`;
}
