/** One sitting: a node, what it hears, and a small fleet that receipts its messages and brings it a bundle. */
import contract from "@built/contract.json";

import { CoreError, type Ears, type Machine, type Node, type Sensor, type Verdict, type Window } from "./node";
import { asCounts, type Recording } from "./recording";
import { Simulator, type Controls, type Synth } from "./simulator";

export interface Message {
  topic: string;
  payload: Record<string, unknown>;
  text: string;
}

/** What the page wants to hear of. */
export interface Listener {
  message(message: Message): void;
  output(severity: string): void;
  identify(seconds: number): void;
  window(window: Window): void;
  verdict(verdict: Verdict): void;
  model(): void;
}

/** What the node hears at the moment. */
export type Source =
  | { kind: "simulator" }
  | { kind: "recording"; recording: Recording; samples: Int16Array; rpm: number | null; at: number };

const CATCH_UP_S = 0.1; // a page that was hidden does not run after the time it lost
/** How long a machine is learned here: a demonstration; commissioning takes a day. */
export const LEARN_S = 20;
const PIECE = 4096; // of a bundle, at a time
const NOBODY_SAID: Machine = { power_w: 0, group: 0, foundation: 0, calibrated: 0 };
const FAR_S = 4_000_000_000; // an `exp` that does not pass
/** Samples kept for the charts; a power of two, for the spectrum. */
export const HISTORY = 1024;

export class Session implements Ears {
  node!: Node;
  source: Source = { kind: "simulator" };
  readonly simulator: Simulator;
  /** The last conditioned samples per channel, oldest first, in the model's unit. */
  history: Float32Array[] = [];
  private sensor: Sensor;
  private readonly simulated: Sensor;
  private due = 0; // samples, with their fraction
  private readonly receipts: { boot: number; seq: number }[] = [];
  private offered: Uint8Array | null = null;
  private sent = -1; // bytes of it; -1 while nobody fetches
  private commands = 0;
  private modelChanged = false;
  private restarting = false;

  constructor(
    private readonly synth: Synth,
    controls: Controls,
    seed: number,
    private readonly listener: Listener,
  ) {
    this.simulator = new Simulator(synth, controls, seed);
    const { rate_hz, bandwidth_hz, range_g, noise_ug_rthz, lsb_mg } = synth.sensor;
    this.simulated = this.sensor = {
      rate_mhz: Math.round(rate_hz * 1000),
      bandwidth_hz: Math.floor(bandwidth_hz),
      range_milli: Math.floor(range_g * 1000),
      noise_ug_rthz: Math.floor(noise_ug_rthz),
      lsb_nano: Math.round(lsb_mg * 1e6),
      unit: Number(Object.keys(contract.unit).find((code) => contract.unit[code] === "g")),
      channels: 3,
    };
  }

  /** A node from the factory; its bundle must have been vouched for. */
  start(node: Node, bundle: Uint8Array): void {
    this.node = node;
    node.factory(bundle);
    this.boot();
  }

  /** The recording takes the sensor's place, and the node boots with it. Another model may have to be offered first. */
  play(recording: Recording, rateHz: number, unit: string, rpm: number | null): void {
    const { samples, sensor } = asCounts(recording, rateHz, unit);
    this.source = { kind: "recording", recording: { ...recording, rateHz }, samples, rpm, at: 0 };
    this.sensor = sensor;
    this.boot();
  }

  simulate(): void {
    this.source = { kind: "simulator" };
    this.sensor = this.simulated;
    this.boot();
  }

  /** An update, as the fleet would command it; the node fetches, proves and decides. */
  offer(bundle: Uint8Array): void {
    this.offered = bundle;
    this.sent = -1;
    const id = `page-${++this.commands}`;
    this.node.command({ c: "update", id, exp: FAR_S, url: "https://page.invalid/bundle", bytes: bundle.length });
  }

  /** The machine is healthy: the node learns it. */
  commission(): void {
    this.node.command({ c: "commission", id: `page-${++this.commands}`, exp: FAR_S, seconds: LEARN_S });
  }

  /** Lets so many seconds pass. */
  run(seconds: number): void {
    const { channels, rate_mhz } = this.sensor;
    this.due += (Math.min(seconds, CATCH_UP_S) * rate_mhz) / 1000;
    const frames = Math.floor(this.due);
    this.due -= frames;
    this.feed(this.next(frames * channels));
  }

  /** Exactly these samples, in the sensor's counts. */
  feed(samples: Int16Array): void {
    this.remember(this.node.run(samples, this.sensor.channels));
    this.bringBundle();
    this.answerReceipts();
    if (this.restarting) {
      this.restarting = false;
      this.boot();
    }
    if (this.modelChanged) {
      this.modelChanged = false;
      this.readModel();
    }
  }

  get speedHz(): number | null {
    if (this.source.kind === "simulator") return this.simulator.speedHz;
    return this.source.rpm === null ? null : this.source.rpm / 60;
  }

  // --- what the core calls ---

  publish(topic: string, text: string): void {
    const payload = JSON.parse(text) as Record<string, unknown>;
    if (topic === "alert" || topic === "event") this.receipts.push({ boot: Number(payload.boot), seq: Number(payload.seq) });
    if (topic === "event" && /^(update_trial|update_reverted|rollback_done)$/.test(String(payload.kind))) this.modelChanged = true;
    this.listener.message({ topic, payload, text });
  }

  fetch(): void {
    this.sent = 0;
  }

  output(severity: string): void {
    this.listener.output(severity);
  }

  restart(): void {
    this.restarting = true; // not while the core is still at work
  }

  identify(seconds: number): void {
    this.listener.identify(seconds);
  }

  window(window: Window): void {
    this.listener.window(window);
  }

  verdict(verdict: Verdict): void {
    this.listener.verdict(verdict);
  }

  private boot(): void {
    this.due = 0;
    this.node.boot(this.sensor, this.source.kind === "simulator" ? this.synth.plate : NOBODY_SAID);
    this.readModel();
    this.answerReceipts();
  }

  private readModel(): void {
    this.node.readModel();
    this.history = (this.node.model?.axes ?? []).map(() => new Float32Array(HISTORY));
    this.listener.model();
  }

  private next(count: number): Int16Array {
    const out = new Int16Array(count);
    if (this.source.kind === "simulator") {
      this.simulator.fill(out);
      return out;
    }
    const { samples } = this.source;
    for (let filled = 0; filled < count; ) {
      const part = samples.subarray(this.source.at, this.source.at + count - filled);
      out.set(part, filled);
      filled += part.length;
      this.source.at += part.length;
      if (this.source.at >= samples.length) {
        this.source.at = 0;
        this.node.gap(); // the end does not meet the beginning
      }
    }
    return out;
  }

  private remember(conditioned: Int16Array): void {
    const { model } = this.node;
    if (!model) return;
    const channels = this.history.length;
    const made = Math.min(HISTORY, Math.floor(conditioned.length / channels));
    const first = conditioned.length / channels - made;
    this.history.forEach((line, c) => {
      line.copyWithin(0, made);
      for (let i = 0; i < made; i++) line[HISTORY - made + i] = conditioned[(first + i) * channels + c]! * model.unitPerCount;
    });
  }

  private bringBundle(): void {
    if (!this.offered || this.sent < 0) return;
    try {
      while (this.sent < this.offered.length) {
        const piece = this.offered.subarray(this.sent, this.sent + PIECE);
        if (!this.node.bundleData(piece)) return;
        this.sent += piece.length;
      }
      this.node.bundleEnd();
    } catch (error) {
      if (!(error instanceof CoreError)) throw error; // the node has told by itself that and why it refuses
    }
    this.offered = null;
    this.sent = -1;
  }

  private answerReceipts(): void {
    for (const { boot, seq } of this.receipts.splice(0)) this.node.command({ c: "receipt", boot, seq: [seq] });
  }
}
