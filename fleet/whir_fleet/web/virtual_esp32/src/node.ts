/** The node: firmware/core in WebAssembly behind firmware/ports/wasm/wasm.h. Nothing here decides anything. */
import core from "@built/core.wasm";
import contract from "@built/contract.json";

/** What the core knows of a sensor; the fields of whir_sensor_info_t. */
export interface Sensor {
  rate_mhz: number;
  bandwidth_hz: number;
  range_milli: number;
  noise_ug_rthz: number;
  lsb_nano: number;
  unit: number;
  channels: number;
}

/** What the core knows of the machine under the sensor; the fields of whir_machine_t. */
export interface Machine {
  power_w: number;
  group: number;
  foundation: number;
  calibrated: number;
}

export interface Model {
  name: string;
  version: string;
  bytes: number;
  classes: string[];
  rateHz: number;
  unitPerCount: number;
  unit: string;
  axes: string[];
  windowSamples: number;
  bands: boolean;
  bandEdgesHz: number[];
  featureCount: number;
  raise: { permille: number; count: number; of: number };
  clear: { permille: number; count: number };
  warningAfterMs: number;
  criticalAfterMs: number;
}

export interface Window {
  features: Int32Array;
  input: Int8Array;
  scores: Int8Array;
}

export interface Verdict {
  atMs: number;
  top: number; // -1 = unknown
  permille: number[];
  windows: number;
  quality: number;
  rmsCounts: number;
  /** Share of the distance from the baseline at which it is unknown; null without a baseline. */
  novelty: number | null;
  zone: string; // none: zoneReason says why
  zoneReason: string;
  /** Worst axis, RMS of the last whole second; null where it is not measured. */
  velocityMmS: number | null;
}

export interface Alert {
  state: string; // idle, pending, active, cleared
  severity: string;
  history: number; // bit i: the i-th last good verdict was at the threshold or above
  below: number;
  sinceMs: number;
}

/** Who listens to a node. */
export interface Ears {
  publish(topic: string, payload: string): void;
  fetch(url: string): void;
  output(severity: string): void;
  restart(): void;
  identify(seconds: number): void;
  window(window: Window): void;
  verdict(verdict: Verdict): void;
}

type Exports = { memory: WebAssembly.Memory } & Record<string, (...numbers: number[]) => number>;

/** A refusal of the core, by its name in contracts/errors.toml. */
export class CoreError extends Error {
  readonly code: string;

  constructor(code: number) {
    const name = contract.errors[code] ?? `code ${code}`;
    super(contract.error_text[name] ?? name);
    this.code = name;
  }
}

function check(code: number): number {
  if (code < 0) throw new CoreError(code);
  return code;
}

export class Node {
  model: Model | null = null;
  private readonly core: Exports;
  private readonly buffer: number;
  private readonly decoder = new TextDecoder();

  private constructor(module: WebAssembly.Module, ears: Ears) {
    const whir = {
      publish: (topic: number, payload: number, bytes: number) => {
        ears.publish(this.text(topic), this.decoder.decode(this.bytes(payload, bytes)));
        return 0;
      },
      fetch: (url: number) => {
        ears.fetch(this.text(url));
        return 0;
      },
      restart: () => ears.restart(),
      identify: (seconds: number) => ears.identify(seconds >>> 0),
      output: (severity: number) => ears.output(contract.severity[severity]!),
      window: () => ears.window(this.window()),
      verdict: () => ears.verdict(this.verdict()),
    };
    this.core = new WebAssembly.Instance(module, { whir }).exports as Exports;
    this.buffer = this.core.wasm_buffer!();
  }

  static async load(ears: Ears): Promise<Node> {
    return new Node(await WebAssembly.compile(core), ears);
  }

  /** The core may believe this signature, SHA-256 digest and r, s (96 bytes): WebCrypto found it valid. */
  vouch(keyId: number, signedDigest: Uint8Array): void {
    this.put(signedDigest);
    this.core.wasm_vouch!(keyId);
  }

  /** A new flash with this bundle in service, as it leaves the factory. */
  factory(bundle: Uint8Array): void {
    this.put(bundle);
    check(this.core.wasm_factory!(bundle.length));
  }

  /** A refused model is no error: the node then runs without one and its event `boot` says why. */
  boot(sensor: Sensor, machine: Machine): void {
    const { rate_mhz, bandwidth_hz, range_milli, noise_ug_rthz, lsb_nano, unit, channels } = sensor;
    const { power_w, group, foundation, calibrated } = machine;
    check(this.core.wasm_boot!(
      rate_mhz, bandwidth_hz, range_milli, noise_ug_rthz, lsb_nano, unit, channels, power_w, group, foundation, calibrated,
    ));
    this.readModel();
  }

  /** Sample-major counts of the sensor; returns what the conditioning made of them, in counts of the model. */
  run(samples: Int16Array, channels: number): Int16Array {
    this.put(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    const made = check(this.core.wasm_run!(samples.length / channels));
    return new Int16Array(this.core.memory.buffer, this.core.wasm_conditioned!(), made * this.core.wasm_channels!());
  }

  command(command: Record<string, unknown>): void {
    const bytes = new TextEncoder().encode(JSON.stringify({ v: 1, ...command }));
    this.put(bytes);
    this.core.wasm_command!(bytes.length); // a refusal is answered on `ack`
  }

  /** Samples were lost before the next. */
  gap(): void {
    this.core.wasm_gap!();
  }

  /** The next piece of the bundle that was asked for; false: the slot is still being erased, offer it again. */
  bundleData(piece: Uint8Array): boolean {
    this.put(piece);
    const code = this.core.wasm_bundle_data!(piece.length);
    if (contract.errors[code] === "busy") return false;
    check(code);
    return true;
  }

  bundleEnd(): void {
    check(this.core.wasm_bundle_end!(0));
  }

  /** The model in service may have changed: after a boot, and after an event of an update. */
  readModel(): void {
    const core = this.core;
    if (!core.wasm_serving!()) {
      this.model = null;
      return;
    }
    const list = (count: number, item: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => item(i));
    const bands = core.wasm_kind!() === contract.kind_bands;
    const rateHz = core.wasm_rate_hz!();
    const windowSamples = core.wasm_window_samples!();
    this.model = {
      name: this.text(core.wasm_model_name!()),
      version: this.text(core.wasm_model_version!()),
      bytes: core.wasm_model_bytes!(),
      classes: list(core.wasm_class_count!(), core.wasm_class_name!).map((at) => this.text(at)),
      rateHz,
      unitPerCount: core.wasm_lsb_nano!() * 1e-9,
      unit: contract.unit[core.wasm_unit!()]!,
      axes: ["x", "y", "z"].filter((_, i) => core.wasm_axes!() & (1 << i)),
      windowSamples,
      bands,
      bandEdgesHz: bands
        ? list(core.wasm_bands_per_axis!() + 1, core.wasm_band_edge!).map((bin) => (bin * rateHz) / windowSamples)
        : [],
      featureCount: core.wasm_feature_count!(),
      raise: { permille: core.wasm_raise_permille!(), count: core.wasm_raise_count!(), of: core.wasm_raise_of!() },
      clear: { permille: core.wasm_clear_permille!(), count: core.wasm_clear_count!() },
      warningAfterMs: core.wasm_warning_after_ms!(),
      criticalAfterMs: core.wasm_critical_after_ms!(),
    };
  }

  get nowMs(): number {
    return this.core.wasm_now_ms!() >>> 0;
  }

  get state(): string {
    return contract.node_state[this.core.wasm_node_state!()]!;
  }

  /** Windows that are still to be learned for the machine's baseline. */
  get learning(): number {
    return this.core.wasm_learning!();
  }

  /** Of a class, or of a watch: those stand behind all classes. */
  alert(classIndex: number): Alert {
    const core = this.core;
    return {
      state: contract.alert_state[core.wasm_alert_state!(classIndex)] ?? "idle",
      severity: contract.severity[core.wasm_alert_severity!(classIndex)]!,
      history: core.wasm_alert_history!(classIndex),
      below: core.wasm_alert_below!(classIndex),
      sinceMs: core.wasm_alert_since_ms!(classIndex) >>> 0,
    };
  }

  verdict(): Verdict {
    const core = this.core;
    return {
      atMs: this.nowMs,
      top: core.wasm_verdict_top!(),
      permille: (this.model?.classes ?? []).map((_, i) => core.wasm_verdict_permille!(i)),
      windows: core.wasm_verdict_windows!(),
      quality: core.wasm_verdict_quality!(),
      rmsCounts: core.wasm_verdict_rms_counts!() >>> 0,
      novelty: core.wasm_verdict_novelty!() === contract.novelty_none ? null : core.wasm_verdict_novelty!() / 1000,
      zone: contract.zone[core.wasm_verdict_zone!()]!,
      zoneReason: contract.zone_reason[core.wasm_verdict_zone_reason!()]!,
      velocityMmS: core.wasm_verdict_velocity_hz!() ? (core.wasm_verdict_velocity_um_s!() >>> 0) / 1000 : null,
    };
  }

  private window(): Window {
    const count = this.core.wasm_feature_count!();
    const memory = this.core.memory.buffer;
    return {
      features: new Int32Array(memory, this.core.wasm_features!(), count).slice(),
      input: new Int8Array(memory, this.core.wasm_input!(), count).slice(),
      scores: new Int8Array(memory, this.core.wasm_scores!(), this.core.wasm_class_count!()).slice(),
    };
  }

  private put(data: Uint8Array): void {
    if (data.length > this.core.wasm_buffer_bytes!()) throw new CoreError(-2);
    this.bytes(this.buffer, data.length).set(data);
  }

  private bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.core.memory.buffer, at, length);
  }

  private text(at: number): string {
    const all = new Uint8Array(this.core.memory.buffer, at);
    return this.decoder.decode(all.subarray(0, all.indexOf(0)));
  }
}
