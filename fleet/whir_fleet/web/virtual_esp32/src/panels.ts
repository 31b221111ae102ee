/** What the node says, in words and bars: verdict, alerts, chip, messages. */
import chip from "@built/chip.json";
import contract from "@built/contract.json";

import { byId, make, say } from "./dom";
import type { Model, Node, Verdict } from "./node";
import type { Message } from "./session";
import { nameOf, t, type Key } from "./text";

const MESSAGES_SHOWN = 30;

export function unitOf(model: Model): string {
  return nameOf("unit", model.unit);
}

export class VerdictPanel {
  private bars: { row: HTMLElement; bar: HTMLElement; value: HTMLElement }[] = [];
  private readonly facts: Record<"model" | "velocity" | "rms" | "novelty" | "zone" | "local", HTMLElement>;

  constructor() {
    const fact = (key: Key): HTMLElement => {
      const value = make("dd", {});
      byId("facts").append(make("div", {}, make("dt", {}, t(key)), value));
      return value;
    };
    this.facts = {
      zone: fact("verdict.zone"), velocity: fact("verdict.velocity"), novelty: fact("verdict.novelty"), rms: fact("verdict.rms"),
      local: fact("verdict.local"), model: fact("verdict.model"),
    };
  }

  model(model: Model | null): void {
    this.bars = (model?.classes ?? []).map((name) => {
      const bar = make("i", {});
      const value = make("b", {}, "");
      return { row: make("li", {}, make("span", {}, nameOf("class", name)), make("span", { class: "bar" }, bar), value), bar, value };
    });
    byId("classes").replaceChildren(...this.bars.map(({ row }) => row));
    byId("classes").style.setProperty("--raise", `${(model?.raise.permille ?? 0) / 10}%`);
    this.facts.model.textContent = model ? `${model.name} ${model.version}` : nameOf("quality", "no_model");
    say(byId("said"), t("verdict.starting"));
    say(byId("said-of"), "");
    byId("verdict").dataset.tone = "unknown";
    this.facts.zone.dataset.zone = "none";
    for (const fact of [this.facts.zone, this.facts.velocity, this.facts.rms, this.facts.novelty]) say(fact, nameOf("zone_reason", "not_measured"));
  }

  verdict(verdict: Verdict, model: Model, learning: number): void {
    const name = verdict.top < 0 ? "unknown" : model.classes[verdict.top]!;
    const reasons = Object.keys(contract.quality).filter((bit) => verdict.quality & Number(bit));
    byId("verdict").dataset.tone = verdict.top < 0 ? "unknown" : verdict.top === 0 ? "good" : "fault";
    say(byId("said"), nameOf("class", name));
    say(
      byId("said-of"),
      verdict.top < 0
        ? reasons.map((bit) => nameOf("quality", contract.quality[bit]!)).join(", ") || t("verdict.novel")
        : `${(verdict.permille[verdict.top]! / 10).toFixed(1)} % · ${t("verdict.of", { windows: verdict.windows })}`,
    );
    this.bars.forEach(({ row, bar, value }, i) => {
      const permille = verdict.top < 0 ? 0 : verdict.permille[i]!;
      bar.style.setProperty("--share", String(permille / 1000));
      say(value, verdict.top < 0 ? "–" : `${(permille / 10).toFixed(1)} %`);
      row.classList.toggle("top", i === verdict.top);
    });
    const zoned = verdict.zone !== "none";
    this.facts.zone.dataset.zone = verdict.zone;
    say(this.facts.zone, zoned ? `${verdict.zone.toUpperCase()} · ${nameOf("zone", verdict.zone)}` : nameOf("zone_reason", verdict.zoneReason));
    const { novelty } = verdict;
    this.facts.novelty.dataset.novel = String(novelty !== null && novelty >= 1);
    say(this.facts.novelty, learning > 0
      ? t("verdict.learning", { windows: learning })
      : novelty === null ? t("verdict.novelty_none") : t("verdict.novelty_of", { value: novelty.toFixed(2) }));
    say(this.facts.velocity, verdict.velocityMmS === null ? nameOf("zone_reason", "not_measured") : t("verdict.velocity_of", { value: verdict.velocityMmS.toFixed(2) }));
    const rms = verdict.rmsCounts * model.unitPerCount;
    say(this.facts.rms, t("verdict.rms_of", { value: `${(rms * 1000).toFixed(1)} m${unitOf(model)}` }));
  }

  output(severity: string): void {
    document.documentElement.dataset.led = severity;
    say(this.facts.local, nameOf("severity", severity));
  }
}

const STATES = ["idle", "pending", "active", "cleared"];

interface AlertRow {
  index: number;
  item: HTMLElement;
  states: HTMLElement[];
  dots: HTMLElement[];
  history: HTMLElement;
  severity: HTMLElement;
  progress: HTMLElement;
}

export class AlertsPanel {
  private rows: AlertRow[] = [];

  model(model: Model | null): void {
    const faults = (model?.classes ?? []).map((name, index) => ({ index, name: nameOf("class", name) })).slice(1);
    const watches = Object.entries(contract.watch).map(([watch, name]) => ({
      index: contract.classes_max + Number(watch), name: nameOf("watch", name),
    }));
    this.rows = model ? [...faults, ...watches].map(({ index, name }) => this.row(index, name, model)) : [];
    byId("alerts").replaceChildren(...this.rows.map(({ item }) => item));
    if (model) {
      const { raise, clear } = model;
      say(byId("alerts-rule"), t("alerts.rule", {
        count: raise.count, of: raise.of, raise: raise.permille / 10, clear: clear.count, below: clear.permille / 10,
        warning: model.warningAfterMs / 1000, critical: model.criticalAfterMs / 1000,
      }));
    }
  }

  private row(index: number, name: string, model: Model): AlertRow {
    const states = STATES.map((state) => make("li", {}, nameOf("alert_state", state)));
    const dots = Array.from({ length: model.raise.of }, () => make("i", {}));
    const history = make("span", { class: "dots", role: "img" }, ...dots);
    const severity = make("span", { class: "severity" });
    const progress = make("i", {});
    const track = make("span", { class: "delay", "aria-hidden": "true" }, progress);
    track.style.setProperty("--warning-at", `${(100 * model.warningAfterMs) / model.criticalAfterMs}%`);
    const item = make("li", {}, make("b", {}, name), history, severity, make("ol", { class: "states" }, ...states), track);
    return { index, item, states, dots, history, severity, progress };
  }

  show(node: Node, model: Model): void {
    for (const row of this.rows) {
      const alert = node.alert(row.index);
      row.states.forEach((element, k) => {
        if (STATES[k] === alert.state) element.setAttribute("aria-current", "step");
        else element.removeAttribute("aria-current");
      });
      let reached = 0;
      row.dots.forEach((dot, k) => {
        const on = Boolean((alert.history >> k) & 1);
        reached += Number(on);
        dot.classList.toggle("on", on);
      });
      row.history.setAttribute("aria-label", t("alerts.history", { of: model.raise.of, reached }));
      const active = alert.state === "active";
      row.item.dataset.severity = active ? alert.severity : "none";
      say(row.severity, active ? nameOf("severity", alert.severity) : "");
      const share = active ? Math.min(1, (node.nowMs - alert.sinceMs) / model.criticalAfterMs) : 0;
      row.progress.style.setProperty("--share", share.toFixed(3));
    }
  }
}

export function showChip(model: Model): void {
  const number = (value: number): string => value.toLocaleString("en");
  const kilobytes = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`;
  say(byId("chip-time"), t("chip.time", { ms: chip.ms.toFixed(2) }));
  say(byId("chip-of"), t("chip.time_of", { window: Math.round((1000 * model.windowSamples) / model.rateHz), clock: chip.clock_hz / 1e6 }));
  const lines: [Key, string][] = [
    ["chip.flash", kilobytes(chip.flash_bytes)], ["chip.model", kilobytes(chip.model_bytes)], ["chip.arena", kilobytes(chip.arena_bytes)],
    ["chip.state", kilobytes(chip.state_bytes)], ["chip.stack", kilobytes(chip.stack_bytes)], ["chip.instructions", number(chip.instructions)],
    ["chip.condition", number(chip.parts.condition)], ["chip.features", number(chip.parts.features)], ["chip.infer", number(chip.parts.infer)],
  ];
  const parts = new Set<Key>(["chip.condition", "chip.features", "chip.infer"]);
  byId("chip").replaceChildren(
    ...lines.map(([key, value]) => make("div", parts.has(key) ? { class: "part" } : {}, make("dt", {}, t(key)), make("dd", {}, value))),
  );
  say(byId("chip-note"), t("chip.note", {
    model: chip.model, what: chip.what, cycles: chip.cycles_per_instruction, flash: chip.flash_bytes_per_s / 1e6,
  }));
}

export function showMessage({ topic, text }: Message): void {
  const list = byId("messages");
  list.prepend(make("li", { "data-topic": topic }, make("b", {}, topic), make("code", {}, text)));
  while (list.children.length > MESSAGES_SHOWN) list.lastElementChild!.remove();
}
