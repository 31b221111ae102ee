/** A second-order section, transposed direct form II. */
export class Biquad {
  private s1 = 0;
  private s2 = 0;

  private constructor(
    private readonly b0: number,
    private readonly b1: number,
    private readonly b2: number,
    private readonly a1: number,
    private readonly a2: number,
  ) {}

  /** A resonance as seen from its base: gain * s^2 / (s^2 + 2 d w s + w^2), bilinear, exact at its frequency. */
  static resonance(freqHz: number, damping: number, gain: number, rateHz: number): Biquad {
    const k = 1 / Math.tan((Math.PI * freqHz) / rateHz);
    const norm = 1 / (k * k + 2 * damping * k + 1);
    const b = gain * k * k * norm;
    return new Biquad(b, -2 * b, b, 2 * (1 - k * k) * norm, (k * k - 2 * damping * k + 1) * norm);
  }

  /** A maximally flat low-pass, -3 dB at `freqHz`. */
  static lowPass(freqHz: number, rateHz: number): Biquad {
    const k = 1 / Math.tan((Math.PI * freqHz) / rateHz);
    const norm = 1 / (k * k + Math.SQRT2 * k + 1);
    return new Biquad(norm, 2 * norm, norm, 2 * (1 - k * k) * norm, (k * k - Math.SQRT2 * k + 1) * norm);
  }

  next(x: number): number {
    const y = this.b0 * x + this.s1;
    this.s1 = this.b1 * x - this.a1 * y + this.s2;
    this.s2 = this.b2 * x - this.a2 * y;
    return y;
  }
}

const PERIODS = 12; // of the output, on each side
const PHASES = 128; // between two inputs
const KAISER_BETA = 6;

function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-10 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Anti-alias filter and change of rate of one channel: half amplitude at 0.46 of the output rate, -60 dB from 0.54. */
export class Decimator {
  private readonly table: Float32Array[] = [];
  private readonly history: Float64Array;
  private at = 0;
  private due: number;
  private readonly step: number;
  private readonly taps: number;

  constructor(inputHz: number, outputHz: number) {
    this.step = inputHz / outputHz;
    const half = Math.ceil(PERIODS * this.step);
    this.taps = 2 * half;
    this.due = this.taps;
    // Twice over, so that a kernel's length always lies in one piece.
    this.history = new Float64Array(2 * this.taps);
    const cutoff = (0.46 * outputHz) / inputHz;
    for (let phase = 0; phase < PHASES; phase++) {
      const kernel = new Float32Array(this.taps);
      let sum = 0;
      for (let i = 0; i < this.taps; i++) {
        const t = i - half + 1 - phase / PHASES;
        const edge = t / half;
        const window = Math.abs(edge) < 1 ? bessel0(KAISER_BETA * Math.sqrt(1 - edge * edge)) : 0;
        const x = 2 * Math.PI * cutoff * t;
        kernel[i] = window * (t === 0 ? 1 : Math.sin(x) / x);
        sum += kernel[i]!;
      }
      this.table.push(kernel.map((value) => value / sum));
    }
  }

  /** One input; the output where one is due, else NaN. */
  next(x: number): number {
    this.history[this.at] = this.history[this.at + this.taps] = x;
    this.at = (this.at + 1) % this.taps;
    this.due -= 1;
    if (this.due >= 1) return NaN;
    // The output lies `due` of an input behind the middle.
    const kernel = this.table[Math.min(PHASES - 1, Math.floor(this.due * PHASES))]!;
    let sum = 0;
    for (let i = 0; i < this.taps; i++) sum += kernel[i]! * this.history[this.at + i]!;
    this.due += this.step;
    return sum;
  }
}
