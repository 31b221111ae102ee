// Lines by uPlot, and the waterfall. The data stand in the page, hidden, where `data-source` says: x, lines, unit, marks, zones.
"use strict";

/** The page's language as the viewer's browser writes it: de-AT where the page is German. */
const viewerLocale = navigator.languages.find((one) => one.split("-")[0] === document.documentElement.lang) ?? document.documentElement.lang;

const charts = (() => {
  const HEIGHT = 190;
  const DAY_S = 86_400;
  const ZONES = [["A", "good"], ["B", "advisory"], ["C", "warning"], ["D", "critical"]];
  const COLOURS = ["chart-mean", "chart-max", "chart-third"];
  const moment = new Intl.DateTimeFormat(viewerLocale, { dateStyle: "medium", timeStyle: "short" });
  const figure = new Intl.NumberFormat(viewerLocale, { maximumSignificantDigits: 4, useGrouping: false });
  const mark = new Intl.NumberFormat(viewerLocale, { maximumSignificantDigits: 12, useGrouping: false });
  /** @type {Map<Element, { plot: uPlot, text: string }>} */
  const drawn = new Map();

  /** @param {string} name */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  /** Times as the viewer writes them: the hour where a day or less is shown, else the date. @param {number[]} seconds */
  function clock(seconds) {
    const short = seconds[seconds.length - 1] - seconds[0] <= 1.5 * DAY_S;
    const shown = new Intl.DateTimeFormat(viewerLocale, short ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short" });
    return (_, ticks) => ticks.map((tick) => shown.format(tick * 1000));
  }

  /** A dashed line with its name at each mark. @param {{ at: number, label: string }[]} marks */
  function cursors(marks) {
    return (plot) => {
      const { ctx, bbox } = plot;
      const ratio = devicePixelRatio || 1;
      const free = [-Infinity, -Infinity]; // names stand in two rows, where there is room
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour("critical");
      ctx.font = `${11 * ratio}px system-ui`;
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.setLineDash([3 * ratio, 4 * ratio]);
      for (const { at, label } of marks) {
        const x = Math.round(plot.valToPos(at, "x", true));
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.globalAlpha = 0.55;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.globalAlpha = 1;
        const row = free.findIndex((from) => x >= from);
        if (row < 0) continue;
        ctx.fillText(label, x + 3 * ratio, bbox.top + (10 + 13 * row) * ratio);
        free[row] = x + ctx.measureText(label).width + 8 * ratio;
      }
      ctx.restore();
    };
  }

  /** Severity zones A to D behind the lines, between the limits. @param {number[]} limits */
  function bands(limits) {
    return (plot) => {
      const { ctx, bbox } = plot;
      const ratio = devicePixelRatio || 1;
      ctx.save();
      ctx.font = `600 ${11 * ratio}px system-ui`;
      ctx.textAlign = "right";
      ctx.textBaseline = "top";
      ZONES.forEach(([name, tone], at) => {
        const [low, high] = [limits[at - 1] ?? 0, limits[at] ?? Infinity];
        const top = Math.max(bbox.top, high === Infinity ? bbox.top : plot.valToPos(high, "y", true));
        const bottom = Math.min(bbox.top + bbox.height, plot.valToPos(low, "y", true));
        if (bottom <= top) return;
        ctx.fillStyle = colour(tone);
        ctx.globalAlpha = 0.13;
        ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
        ctx.globalAlpha = 1;
        if (bottom - top > 16 * ratio) ctx.fillText(name, bbox.left + bbox.width - 4 * ratio, top + 3 * ratio);
      });
      ctx.restore();
    };
  }

  /** @param {HTMLElement} place @param {string} text */
  function make(place, text) {
    const { x, lines, unit = "", x_unit, marks = [], zones, least = 0 } = JSON.parse(text);
    const labels = (place.dataset.labels ?? "").split("|");
    const behind = unit && ` ${unit}`;
    const axis = { stroke: colour("faint"), font: "12px system-ui", grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const along = x_unit ? (_, ticks) => ticks.map((tick) => `${mark.format(tick)} ${x_unit}`) : clock(x);
    const plot = new uPlot({
      width: place.clientWidth || 400,
      height: HEIGHT,
      cursor: { y: false, ...(x_unit ? {} : { sync: { key: "history" } }) },
      scales: { x: { time: !x_unit }, y: { range: (_, low, high) => [Math.min(0, low * 1.05), Math.max(least, high * 1.1) || 1] } },
      axes: [{ ...axis, size: 32, grid: { show: false }, values: along }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${mark.format(tick)}${behind}`) }],
      hooks: { drawClear: zones ? [bands(zones)] : [], draw: [cursors(marks)] },
      series: [
        { label: x_unit ?? document.body.dataset.time, value: (_, at) => (at === null ? "–" : x_unit ? mark.format(at) : moment.format(at * 1000)) },
        ...lines.map((_line, at) => ({
          label: labels[at],
          stroke: colour(COLOURS[at]),
          width: 1.4,
          points: { show: false },
          value: (_, value) => (value === null ? "–" : `${figure.format(value)}${behind}`),
        })),
      ],
    }, [x, ...lines], place);
    drawn.set(place, { plot, text });
  }

  /** Rows of decibels, -60 to 0, as stripes of the accent's colour. @param {HTMLElement} place */
  function waterfall(place) {
    const rows = /** @type {number[][]} */ (JSON.parse(place.dataset.values ?? "[]"));
    const canvas = document.createElement("canvas");
    canvas.width = rows[0].length;
    canvas.height = rows.length;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.fillStyle = colour("accent");
    rows.forEach((row, y) => row.forEach((level, x) => {
      pen.globalAlpha = (level + 60) / 60;
      pen.fillRect(x, y, 1, 1);
    }));
    place.replaceChildren(canvas);
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
      before?.plot.destroy();
      make(place, text);
    }
    for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".waterfall:empty"))) waterfall(place);
  }

  addEventListener("resize", () => draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const { plot } of drawn.values()) plot.destroy();
    drawn.clear();
    for (const place of document.querySelectorAll(".waterfall")) place.replaceChildren();
    draw();
  });
  return { draw };
})();
