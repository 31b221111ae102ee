/** A small seeded generator (sfc32, Chris Doty-Humphrey, public domain): the same seed gives the same machine. */
export class Random {
  private a = 0;
  private b = 0;
  private c: number;
  private counter = 1;
  private spare = NaN;

  constructor(seed: number) {
    this.c = seed >>> 0;
    for (let i = 0; i < 15; i++) this.word();
  }

  private word(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    return t >>> 0;
  }

  /** Evenly from low to high. */
  uniform(low: number, high: number): number {
    return low + ((high - low) * this.word()) / 4294967296;
  }

  /** Mean 0, variance 1 (Marsaglia's polar method). */
  normal(): number {
    if (!Number.isNaN(this.spare)) {
      const kept = this.spare;
      this.spare = NaN;
      return kept;
    }
    for (;;) {
      const x = this.uniform(-1, 1);
      const y = this.uniform(-1, 1);
      const s = x * x + y * y;
      if (s > 0 && s < 1) {
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        this.spare = y * scale;
        return x * scale;
      }
    }
  }
}

/** A slow random course of unit variance that changes over about `periodS`: knots, and half a cosine between them. */
export class Drift {
  private from: number;
  private to: number;
  private place = 0;

  constructor(
    private readonly random: Random,
    private readonly periodS: number,
  ) {
    this.from = random.normal();
    this.to = random.normal();
  }

  /** The value after another `seconds`. */
  next(seconds: number): number {
    this.place += seconds / this.periodS;
    while (this.place >= 1) {
      this.place -= 1;
      this.from = this.to;
      this.to = this.random.normal();
    }
    const blend = 0.5 - 0.5 * Math.cos(Math.PI * this.place);
    // The mean of cos^4 + sin^4 is 3/4.
    return (this.from * (1 - blend) + this.to * blend) / Math.sqrt(0.75);
  }
}
