// What the server cannot know or do: the viewer's zone, that something changed, and that the connection is gone.
"use strict";

(() => {
  const full = new Intl.DateTimeFormat(viewerLocale, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(viewerLocale, { dateStyle: "full", timeStyle: "long" });
  const relative = new Intl.RelativeTimeFormat(viewerLocale, { numeric: "auto", style: "short" });
  const STEPS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([["second", 60], ["minute", 60], ["hour", 24], ["day", 14]]);

  /** How long ago, in the largest unit that is not zero; null after two weeks. @param {number} ms */
  function ago(ms) {
    let passed = (ms - Date.now()) / 1000;
    for (const [unit, many] of STEPS) {
      if (Math.abs(passed) < many) return relative.format(Math.round(passed), unit);
      passed /= many;
    }
    return null;
  }

  /** Every time below `root` in the viewer's zone. @param {ParentNode} root */
  function times(root) {
    for (const shown of root.querySelectorAll("time")) {
      const at = new Date(shown.dateTime);
      const text = (shown.dataset.style === "ago" && ago(at.getTime())) || full.format(at);
      if (shown.textContent !== text) shown.textContent = text;
      shown.title ||= exact.format(at);
    }
    for (const stripe of root.querySelectorAll("rect[data-from]")) {
      const { from, until } = /** @type {SVGElement} */ (stripe).dataset;
      const title = stripe.querySelector("title");
      if (title && !title.dataset.told) {
        title.textContent += `, ${full.formatRange(Number(from), Number(until))}`;
        title.dataset.told = "yes";
      }
    }
  }

  let connected = true;
  function tell() {
    const banner = document.getElementById("offline");
    if (banner) banner.hidden = connected;
  }

  /** @param {boolean} now */
  function connection(now) {
    const back = now && !connected;
    connected = now;
    tell();
    if (back) for (const name of NAMES) htmx.trigger(document.body, `${name}-changed`);
  }

  const RETRY_MS = 3000;
  const NAMES = ["alerts", "rollouts", "nodes", "commands", "captures"];
  const address = document.body.dataset.stream;
  /** @type {EventSource} */
  let stream;
  let retry = 0;

  function listen() {
    stream = new EventSource(/** @type {string} */ (address));
    stream.onopen = () => connection(true);
    stream.onerror = lost;
    for (const name of NAMES) stream.addEventListener(name, () => htmx.trigger(document.body, `${name}-changed`));
  }

  /** A browser gives a stream up where a proxy answers for the service, and notices no cable that was pulled. */
  function lost() {
    connection(false);
    stream.close();
    clearTimeout(retry);
    retry = setTimeout(again, RETRY_MS);
  }

  /** Listens again once the service answers; to the sign-in page when the session has ended meanwhile. */
  async function again() {
    const answer = await fetch(location.href, { headers: { "HX-Request": "true" } }).catch(() => null);
    const elsewhere = answer?.headers.get("HX-Redirect");
    if (elsewhere) location.assign(elsewhere);
    else if (answer && answer.status < 500) listen();
    else lost();
  }

  if (address) {
    listen();
    addEventListener("pagehide", () => stream.close());
    addEventListener("offline", lost);
    document.body.addEventListener("htmx:sendError", lost);
  }

  document.body.addEventListener("htmx:load", (event) => {
    const root = /** @type {HTMLElement} */ (event.target);
    times(root.parentElement ?? root);
    charts.draw();
    tell();
  });
  // One open question at a time, and none after a click elsewhere.
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.confirm[open], details.me[open]")) {
      if (!open.contains(/** @type {Node} */ (event.target))) open.removeAttribute("open");
    }
  });
  times(document);
  charts.draw();
  setInterval(() => times(document), 30_000);
})();
