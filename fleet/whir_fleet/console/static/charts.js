// Histories as lines, by uPlot. The data stand in the page, hidden, where `data-source` says.
"use strict";

const charts = (() => {
  const HEIGHT = 190;
  /** @type {Map<Element, { plot: uPlot, text: string }>} */
  const drawn = new Map();

  /** @param {string} name */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const DAY_S = 86_400;
  /** Times as the viewer writes them: the hour where a day or less is shown, else the date. @param {number[]} seconds */
  function clock(seconds) {
    const short = seconds[seconds.length - 1] - seconds[0] <= 1.5 * DAY_S;
    const shown = new Intl.DateTimeFormat(document.documentElement.lang, short ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short" });
    return (/** @type {uPlot} */ _, /** @type {number[]} */ ticks) => ticks.map((tick) => shown.format(tick * 1000));
  }
  const KINDS = { rms: ["mean", "max"], novelty: ["novelty"] };
  const COLOURS = ["chart-mean", "chart-max"];

  /** @param {HTMLElement} place @param {string} text */
  function make(place, text) {
    const data = JSON.parse(text);
    const kind = /** @type {keyof typeof KINDS} */ (place.dataset.chart);
    const names = KINDS[kind];
    const labels = (place.dataset.labels ?? "").split("|");
    const unit = kind === "rms" ? ` ${data.unit}` : "";
    const axis = { stroke: colour("faint"), font: "12px system-ui", grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const moment = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
    const plot = new uPlot({
      width: place.clientWidth || 400,
      height: HEIGHT,
      cursor: { y: false, sync: { key: "history" } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), kind === "novelty" ? Math.max(1.1, high * 1.1) : high * 1.1 || 1] } },
      axes: [{ ...axis, grid: { show: false }, values: clock(data.seconds) }, { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => `${tick}${unit}`) }],
      series: [
        { value: (_, at) => (at === null ? "–" : moment.format(at * 1000)) },
        ...names.map((_name, at) => ({
          label: labels[at],
          stroke: colour(COLOURS[at] ?? "accent"),
          width: 1.6,
          points: { size: 4 },
          value: (/** @type {uPlot} */ _, /** @type {number | null} */ value) => (value === null ? "–" : `${Number(value.toPrecision(4))}${unit}`),
        })),
      ],
    }, [data.seconds, ...names.map((name) => data[name])], place);
    drawn.set(place, { plot, text });
  }

  /** Draws what is on the page, again where its data or its room has changed; lets go of what is not. */
  function draw() {
    for (const [place, { plot }] of drawn) {
      if (!place.isConnected) {
        plot.destroy();
        drawn.delete(place);
      }
    }
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".chart"))) {
      const text = document.getElementById(place.dataset.source ?? "")?.textContent ?? "";
      const before = drawn.get(place);
      if (before?.text === text && before.plot.width === place.clientWidth) continue;
      if (before) {
        before.plot.destroy();
        drawn.delete(place);
      }
      make(place, text);
    }
  }

  addEventListener("resize", () => draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
    draw();
  });
  return { draw };
})();
