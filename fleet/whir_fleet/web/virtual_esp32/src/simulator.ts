/**
 * The motor of ml/whir_ml/synth, as a stream with controls: the same physics in the same units, sample by sample instead of
 * one Fourier sum per recording. The numbers come from the Python code through synth.json; what Python draws anew for each
 * recording (phases, directions) is the middle of its range here. tests/e2e/test_simulator.py holds the two against each
 * other. Axes of the machine: 0 horizontal radial, 1 vertical radial, 2 axial. docs/SYNTH.md explains each number.
 */
import { Biquad, Decimator } from "./filters";
import { Drift, Random } from "./random";

export interface Synth {
  simulation_hz: number;
  gravity: number;
  rumble_hz: number;
  contact_s: number;
  machine: {
    modes: { freq_hz: number; damping: number; gain: number }[][];
    tilt_deg: [number, number];
    eccentricity_um: number;
    misalignment_mg: number;
    line_mg: number;
    line_hz: number;
    blades: number;
    blade_mg: number;
    rumble_mg: number;
  };
  bearing: { name: string; balls: number; ball_mm: number; pitch_mm: number; ftf: number; bpfo: number; bpfi: number; bsf: number };
  surroundings: { knocks_per_s: number; knock_mm_s: number; sways_per_s: number; sway_mg: number };
  /** Shares of the harmonics 1, 2, 3: radial, axial. */
  misalignment: [number[], number[]];
  levels: { eccentricity_um: number[]; misalignment_mg: number[]; impact_mm_s: number[]; looseness_mg: number[] };
  sensor: { name: string; noise_ug_rthz: number; bandwidth_hz: number; range_g: number; lsb_mg: number; rate_hz: number };
  /** What the node is told of the machine, for its severity zone. */
  plate: { power_w: number; group: number; foundation: number; calibrated: number };
}

/** What the visitor sets, in the units of the faults' levels. */
export interface Controls {
  speed_rpm: number;
  load: number; // 0 idle .. 1 rated
  imbalance_um: number;
  misalignment_mg: number;
  outer_mm_s: number;
  inner_mm_s: number;
  ball_mm_s: number;
  looseness_mg: number;
  noise_ug_rthz: number;
  mount_deg: number;
}

const BLOCK = 16; // simulated samples for which what changes slowly stays
const SPEED_SETTLES_S = 0.5; // a rotor does not change its speed at once
const SPREAD = 4; // samples on each side that an impact's contact takes

/** Impacts of one defect, by shaft revolutions. Rolling elements slip: the order is low by 0.5 %, intervals vary by 1 %. */
class Defect {
  private next = -1;
  private readonly wander: Drift;
  private level = 1;

  constructor(
    private readonly random: Random,
    private readonly order: number,
    /** Angle of the spot in the load zone, radians, after so many revolutions. */
    private readonly angle: (revolutions: number) => number,
  ) {
    this.wander = new Drift(random, 0.4);
  }

  advance(seconds: number): void {
    this.level = Math.exp(0.25 * this.wander.next(seconds));
  }

  /** Share of a sample behind `before` at which it strikes on the way to `after`, and how hard; null: it does not. */
  strike(before: number, after: number): { share: number; step: number } | null {
    if (this.next < before) this.next = before + this.random.uniform(0, 1 / this.order);
    if (this.next >= after) return null;
    const at = this.next;
    this.next += (1.005 / this.order) * (1 + 0.01 * this.random.normal());
    const zone = 0.12 + 0.88 * Math.max(Math.cos(this.angle(at)), 0) ** 1.5;
    return { share: (at - before) / (after - before), step: this.level * zone * Math.exp(0.2 * this.random.normal()) };
  }
}

export class Simulator {
  /** Shaft revolutions, and those of the bearing's cage. */
  revolutions = 0;
  cage = 0;
  speedHz: number;
  private readonly random: Random;
  private readonly loadDrift: Drift;
  private readonly speedDrift: Drift;
  private readonly rumbleDrift: Drift[];
  private readonly rumble = [0, 0, 0];
  private readonly modes: Biquad[][];
  private readonly element: Biquad[];
  private readonly decimators: Decimator[];
  private readonly defects: { of: "outer_mm_s" | "inner_mm_s" | "ball_mm_s"; defect: Defect }[];
  private readonly looseMean: number;
  private readonly impacts = new Float64Array(2 * SPREAD + 2);
  private readonly passing: { wave: (t: number) => number; at: number; lengthS: number; direction: number[] }[] = [];
  private time = 0;
  private settled: number;

  constructor(
    private readonly synth: Synth,
    readonly controls: Controls,
    seed: number,
  ) {
    const rate = synth.simulation_hz;
    const { bpfo, bpfi, bsf, ftf } = synth.bearing;
    this.random = new Random(seed);
    this.settled = this.speedHz = controls.speed_rpm / 60;
    this.loadDrift = new Drift(this.random, 1.5);
    this.speedDrift = new Drift(this.random, 1);
    this.rumbleDrift = [0, 1, 2].map(() => new Drift(this.random, 0.4));
    this.modes = synth.machine.modes.map((axis) => axis.map((m) => Biquad.resonance(m.freq_hz, m.damping, m.gain, rate)));
    this.element = [0, 1, 2].map(() => Biquad.lowPass(synth.sensor.bandwidth_hz, rate));
    this.decimators = [0, 1, 2].map(() => new Decimator(rate, synth.sensor.rate_hz));
    this.defects = [
      // A spot on the outer race stands still in the load zone, on the inner race it turns with the shaft, on a ball with the cage.
      { of: "outer_mm_s", defect: new Defect(this.random, bpfo, () => 0) },
      { of: "inner_mm_s", defect: new Defect(this.random, bpfi, (turns) => 2 * Math.PI * turns) },
      { of: "ball_mm_s", defect: new Defect(this.random, 2 * bsf, (turns) => 2 * Math.PI * ftf * turns) },
    ];
    const turns = Array.from({ length: 4000 }, (_, i) => (4 * Math.PI * i) / 4000);
    this.looseMean = turns.reduce((sum, angle) => sum + looseLift(angle), 0) / turns.length;
  }

  /** Fills `out` (sample-major, 3 axes) with the sensor's next samples, in counts. */
  fill(out: Int16Array): void {
    const force = [0, 0, 0];
    let filled = 0;
    while (filled < out.length) {
      const block = this.startBlock();
      for (let i = 0; i < BLOCK && filled < out.length; i++) {
        this.sumForces(block, force);
        const sample = this.measure(block, force);
        if (sample) {
          out.set(sample, filled);
          filled += 3;
        }
      }
    }
  }

  /** What changes slowly, for the next BLOCK samples. */
  private startBlock() {
    const { synth, controls } = this;
    const rate = synth.simulation_hz;
    const seconds = BLOCK / rate;
    this.settled += (controls.speed_rpm / 60 - this.settled) * (1 - Math.exp(-seconds / SPEED_SETTLES_S));
    const load = Math.min(1.2, Math.max(0, controls.load * (1 + 0.08 * this.loadDrift.next(seconds))));
    this.speedHz = this.settled * (1 + 0.002 * this.speedDrift.next(seconds) - 0.02 * (load - controls.load));
    for (const { defect } of this.defects) defect.advance(seconds);
    this.meetSurroundings(seconds);
    const relative = this.settled / 25;
    const eccentricity = Math.hypot(synth.machine.eccentricity_um, controls.imbalance_um);
    const offset = Math.hypot(synth.machine.misalignment_mg, controls.misalignment_mg);
    return {
      load,
      relative,
      imbalance: ((eccentricity * 1e-6) / synth.gravity) * (2 * Math.PI * this.speedHz) ** 2,
      misalignment: offset * 1e-3 * relative * (0.5 + 0.5 * load),
      pull: synth.machine.line_mg * 1e-3 * (0.3 + 0.7 * load),
      fan: synth.machine.blade_mg * 1e-3 * relative ** 2,
      rumble: this.rumbleDrift.map(
        (drift) => synth.machine.rumble_mg * 1e-3 * relative * Math.sqrt(rate / 2 / 1000) * Math.exp(0.3 * drift.next(seconds)),
      ),
      pole: Math.exp((-2 * Math.PI * synth.rumble_hz) / rate),
      noise: controls.noise_ug_rthz * 1e-6 * Math.sqrt(rate / 2),
      turn: sensorAxes(controls.mount_deg, ...synth.machine.tilt_deg),
    };
  }

  /** Forces over mass of the next sample, in g. */
  private sumForces(block: ReturnType<Simulator["startBlock"]>, force: number[]): void {
    const { synth, controls } = this;
    const before = this.revolutions;
    this.revolutions += this.speedHz / synth.simulation_hz;
    this.cage += (this.speedHz / synth.simulation_hz) * synth.bearing.ftf;
    this.time += 1 / synth.simulation_hz;
    const angle = 2 * Math.PI * this.revolutions + Math.PI;
    const one = Math.sin(angle);
    const [radial, axial] = synth.misalignment;
    // sin(k θ + π) = -sin(k θ), whatever k
    const theta = angle - Math.PI;
    const [h1, h2, h3] = [one, -Math.sin(2 * theta), -Math.sin(3 * theta)];
    const side = radial[0]! * h1 + radial[1]! * h2 + radial[2]! * h3;
    const along = axial[0]! * h1 + axial[1]! * h2 + axial[2]! * h3;
    force[0] = block.imbalance * one + block.misalignment * 0.8 * side;
    force[1] = block.imbalance * 0.875 * Math.cos(angle) + block.misalignment * 0.8 * side;
    force[2] = block.imbalance * 0.075 * one + block.misalignment * along;
    if (controls.looseness_mg > 0) {
      const lift = ((looseLift(theta) - this.looseMean) * controls.looseness_mg * 1e-3) / 0.5;
      force[0] += 0.4 * lift;
      force[1] += lift;
      force[2] += 0.2 * lift;
    }
    const pull = block.pull * Math.sin(4 * Math.PI * synth.machine.line_hz * this.time);
    const fan = block.fan * Math.sin(synth.machine.blades * theta);
    force[0] += pull + 0.3 * fan;
    force[1] += 0.7 * pull + 0.3 * fan;
    force[2] += 0.1 * pull + fan;
    for (let axis = 0; axis < 3; axis++) {
      const white = this.random.normal() * block.rumble[axis]!;
      this.rumble[axis] = this.rumble[axis]! * block.pole + white * (1 - block.pole);
      force[axis]! += this.rumble[axis]!;
    }
    this.addImpacts(block, before, force);
    for (const passing of this.passing) {
      const wave = passing.wave(passing.at);
      passing.at += 1 / synth.simulation_hz;
      for (let axis = 0; axis < 3; axis++) force[axis]! += passing.direction[axis]! * wave;
    }
  }

  /** Velocity steps of the rigid machine, each spread over the contact's duration. */
  private addImpacts(block: { load: number; relative: number }, before: number, force: number[]): void {
    const { synth, controls, impacts } = this;
    for (const { of, defect } of this.defects) {
      if (controls[of] <= 0) continue;
      const hit = defect.strike(before, this.revolutions);
      if (!hit) continue;
      const step = hit.step * controls[of] * 1e-3 * block.relative * (0.6 + 0.4 * block.load);
      const weights = Array.from(impacts, (_, i) =>
        Math.exp(-0.5 * ((i - SPREAD - hit.share) / (synth.contact_s * synth.simulation_hz)) ** 2),
      );
      const sum = weights.reduce((a, b) => a + b);
      weights.forEach((weight, i) => (impacts[i]! += ((weight / sum) * step * synth.simulation_hz) / synth.gravity));
    }
    const now = impacts[0]!;
    impacts.copyWithin(0, 1);
    impacts[impacts.length - 1] = 0;
    // Vertical, and a quarter of it along the shaft.
    force[1]! += now;
    force[2]! += 0.275 * now;
  }

  /** Through the floor, at random: half sines of 1 to 4 ms, and bursts of a tone, each from its own direction. */
  private meetSurroundings(seconds: number): void {
    const { random, synth } = this;
    const around = synth.surroundings;
    const meet = (wave: (t: number) => number, lengthS: number): void => {
      const direction = [random.normal(), random.normal(), random.normal()];
      const length = Math.hypot(...direction);
      this.passing.push({ wave, at: 0, lengthS, direction: direction.map((part) => part / length) });
    };
    while (this.passing.length > 0 && this.passing[0]!.at >= this.passing[0]!.lengthS) this.passing.shift();
    if (random.uniform(0, 1) < around.knocks_per_s * seconds) {
      const width = random.uniform(1e-3, 4e-3);
      const step = around.knock_mm_s * 1e-3 * Math.exp(0.6 * random.normal());
      const height = (step * Math.PI) / (2 * width * synth.gravity);
      meet((t) => (t < width ? height * Math.sin((Math.PI * t) / width) : 0), width);
    }
    if (random.uniform(0, 1) < around.sways_per_s * seconds) {
      const length = random.uniform(0.15, 0.4);
      const tone = 2 * Math.PI * random.uniform(12, 120);
      const height = around.sway_mg * 1e-3 * Math.exp(0.6 * random.normal());
      meet((t) => (t < length ? height * Math.sin(tone * t) * Math.sin((Math.PI * t) / length) ** 2 : 0), length);
    }
  }

  /** Through machine and sensor; the sample, when its output rate has one due. */
  private measure(block: { noise: number; turn: number[][] }, force: number[]): number[] | null {
    const { sensor } = this.synth;
    const housing = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      for (const mode of this.modes[axis]!) housing[axis]! += mode.next(force[axis]!);
    }
    const counts = [0, 0, 0];
    for (let axis = 0; axis < 3; axis++) {
      const row = block.turn[axis]!;
      const felt = this.element[axis]!.next(row[0]! * housing[0]! + row[1]! * housing[1]! + row[2]! * housing[2]!);
      const wide = felt - row[1]! + this.random.normal() * block.noise; // gravity pulls down: -1 g on axis 1
      counts[axis] = this.decimators[axis]!.next(Math.max(-sensor.range_g, Math.min(sensor.range_g, wide)));
    }
    if (Number.isNaN(counts[0]!)) return null;
    const full = Math.min(32767, Math.floor((sensor.range_g * 1000) / sensor.lsb_mg));
    return counts.map((g) => Math.max(-full, Math.min(full, Math.round((g * 1000) / sensor.lsb_mg))));
  }
}

/** A foot that lifts every other turn: a truncated wave with half orders. */
function looseLift(theta: number): number {
  return Math.max(-Math.sin(theta) - 0.6 * Math.sin(theta / 2), 0.4) - 0.4;
}

/** Rotation from the machine's axes to the sensor's. */
function sensorAxes(mountDeg: number, leanDeg: number, twistDeg: number): number[][] {
  const turn = (deg: number): [number, number] => [Math.cos((deg * Math.PI) / 180), Math.sin((deg * Math.PI) / 180)];
  const times = (a: number[][], b: number[][]): number[][] =>
    a.map((row) => b[0]!.map((_, column) => row.reduce((sum, value, k) => sum + value * b[k]![column]!, 0)));
  let [c, s] = turn(mountDeg);
  const roll = [[c, s, 0], [-s, c, 0], [0, 0, 1]];
  [c, s] = turn(leanDeg);
  const pitch = [[c, 0, s], [0, 1, 0], [-s, 0, c]];
  [c, s] = turn(twistDeg);
  const yaw = [[1, 0, 0], [0, c, s], [0, -s, c]];
  return times(yaw, times(pitch, roll));
}
