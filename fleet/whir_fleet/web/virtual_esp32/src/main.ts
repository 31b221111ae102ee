/** Puts the page together: one session, the drawings, and a clock. */
import bundle from "@built/first.whir";
import key from "@built/key.json";
import synth from "@built/synth.json";

import { fromBase64, importKey, type TrustedKey, vouchFor } from "./bundle";
import { Bands, Ribbon, SpectrumChart, Waveform, type Mark } from "./charts";
import { healthy, showControls } from "./controls";
import { byId, say } from "./dom";
import { Files } from "./files";
import { Motor, SLOW } from "./motor";
import { Node, type Verdict, type Window } from "./node";
import { AlertsPanel, showChip, showMessage, unitOf, VerdictPanel } from "./panels";
import { HISTORY, Session, type Listener, type Message } from "./session";
import { amplitudes } from "./spectrum";
import { fillTexts, t } from "./text";

const SPECTRUM_EVERY_S = 0.1;

class Page implements Listener {
  readonly controls = healthy(synth);
  readonly session = new Session(synth, this.controls, 1, this);
  readonly keys: TrustedKey[] = [];
  /** The model that it begins with. */
  readonly first = bundle;
  /** Milliseconds that each of the last frames took; read by the tests. */
  readonly frames: number[] = [];
  private readonly motor = new Motor(byId("motor"), synth);
  private readonly wave = new Waveform(byId<HTMLCanvasElement>("wave"));
  private readonly spectrum = new SpectrumChart(byId<HTMLCanvasElement>("spectrum"));
  private readonly bands = new Bands(byId<HTMLCanvasElement>("bands"));
  private readonly ribbon = new Ribbon(byId<HTMLCanvasElement>("ribbon"));
  private readonly verdicts = new VerdictPanel();
  private readonly alerts = new AlertsPanel();
  private readonly files = new Files(this.session, this.keys);
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");
  private last = 0;
  private spectrumIn = 0;
  private waveLabel = "";

  async start(): Promise<void> {
    showControls(synth, this.controls);
    byId("learn").addEventListener("click", () => this.session.commission());
    this.keys.push({ keyId: key.key_id, key: await importKey(fromBase64(key.spki)) });
    const node = await Node.load(this.session);
    await vouchFor(node, this.first, this.keys);
    this.session.start(node, this.first);
    requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    const begun = performance.now();
    const seconds = this.last === 0 ? 0 : (now - this.last) / 1000;
    this.last = now;
    this.session.run(seconds);
    this.draw(seconds);
    this.frames.push(performance.now() - begun);
    if (this.frames.length > 600) this.frames.shift();
    requestAnimationFrame((next) => this.frame(next));
  }

  private draw(seconds: number): void {
    const { session } = this;
    const { simulator, source } = session;
    const simulated = source.kind === "simulator";
    this.motor.show(simulator.revolutions, simulator.cage, simulated ? this.controls : null, this.still.matches || !simulated);
    say(byId("motor-facts"), simulated
      ? t("motor.facts", { rpm: Math.round(simulator.speedHz * 6) * 10, slow: SLOW })
      : t("motor.recording", {
          name: source.recording.name,
          at: (source.at / source.recording.channels / source.recording.rateHz!).toFixed(1),
          length: (source.samples.length / source.recording.channels / source.recording.rateHz!).toFixed(1),
        }));
    const { model } = session.node;
    if (!model) return;
    const scale = this.wave.draw(session.history, model.axes, Math.min(HISTORY, model.rateHz), unitOf(model));
    if (scale !== this.waveLabel) {
      this.waveLabel = scale;
      byId("wave").setAttribute("aria-label", t("wave.label", { axes: model.axes.join(", "), scale }));
    }
    this.spectrumIn -= seconds;
    if (this.spectrumIn <= 0) {
      this.spectrumIn = SPECTRUM_EVERY_S;
      this.spectrum.add(amplitudes(session.history));
      this.spectrum.draw(model.rateHz / HISTORY, this.marks(), unitOf(model));
      this.ribbon.draw(session.node.nowMs);
    }
  }

  /** Where shaft and bearing should show themselves. */
  private marks(): Mark[] {
    const speed = this.session.speedHz;
    if (speed === null) return [];
    const shaft = [{ name: "1×", hz: speed }, { name: "2×", hz: 2 * speed }];
    if (this.session.source.kind !== "simulator") return shaft;
    return [...shaft, { name: "BPFO", hz: synth.bearing.bpfo * speed }, { name: "BPFI", hz: synth.bearing.bpfi * speed }];
  }

  // --- what the session tells ---

  model(): void {
    const { model } = this.session.node;
    this.verdicts.model(model);
    this.alerts.model(model);
    this.ribbon.restart();
    if (!model) return;
    showChip(model);
    say(byId("wave-note"), t("wave.note", { axes: model.axes.join(", "), rate: model.rateHz }));
    const marks = this.marks().map((mark) => mark.name).join(", ") || t("spectrum.no_speed");
    say(byId("spectrum-note"), t("spectrum.note", { resolution: (model.rateHz / HISTORY).toFixed(1) }));
    byId("spectrum").setAttribute("aria-label", t("spectrum.label", { limit: model.rateHz / 2, marks }));
    say(byId("bands-note"), t(model.bands ? "bands.note" : "bands.raw", { count: model.featureCount }));
  }

  message(message: Message): void {
    showMessage(message);
    this.files.heard(message);
  }

  output(severity: string): void {
    this.verdicts.output(severity);
  }

  identify(seconds: number): void {
    document.documentElement.dataset.blinks = "yes";
    setTimeout(() => delete document.documentElement.dataset.blinks, seconds * 1000);
  }

  window(window: Window): void {
    const { model } = this.session.node;
    if (model?.bands) this.bands.draw(window.input, model.axes, model.bandEdgesHz, t("bands.stats"));
  }

  verdict(verdict: Verdict): void {
    const { node } = this.session;
    if (!node.model) return;
    this.verdicts.verdict(verdict, node.model, node.learning);
    this.alerts.show(node, node.model);
    this.ribbon.add(verdict.atMs, verdict.top, verdict.top < 0 ? 0 : verdict.permille[verdict.top]! / 1000);
  }
}

fillTexts(document);
document.title = t("page.title");
const page = new Page();
Object.assign(globalThis, { whir: page }); // for the curious, and for the tests
page.start().catch((error: Error) => say(byId("said"), t("page.failed", { reason: error.message })));
