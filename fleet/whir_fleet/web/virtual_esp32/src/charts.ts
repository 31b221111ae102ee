/** The live drawings, on canvas. docs/adr/ says why no chart library. */

/** Colours of style.css, read again when light and dark change. */
class Palette {
  ink = "";
  faint = "";
  grid = "";
  accent = "";
  axes: string[] = [];
  good = "";
  bad = "";
  unknown = "";

  constructor() {
    this.read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.read());
  }

  private read(): void {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    this.ink = colour("ink");
    this.faint = colour("faint");
    this.grid = colour("line");
    this.accent = colour("accent");
    this.axes = [colour("axis-x"), colour("axis-y"), colour("axis-z")];
    this.good = colour("good");
    this.bad = colour("critical");
    this.unknown = colour("unknown");
  }
}

let palette: Palette | null = null;

/** A canvas that is as sharp as the screen. */
class Surface {
  readonly context: CanvasRenderingContext2D;
  readonly colours: Palette;
  width = 0;
  height = 0;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
    this.colours = palette ??= new Palette();
    new ResizeObserver(() => this.fit()).observe(canvas);
    this.fit();
  }

  private fit(): void {
    const sharp = Math.min(2, devicePixelRatio);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * sharp);
    this.canvas.height = Math.round(this.height * sharp);
    this.context.setTransform(sharp, 0, 0, sharp, 0, 0);
  }

  clear(): CanvasRenderingContext2D {
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.font = "11px system-ui, sans-serif";
    this.context.lineWidth = 1;
    return this.context;
  }

  text(content: string, x: number, y: number, colour: string, align: CanvasTextAlign = "left"): void {
    this.context.fillStyle = colour;
    this.context.textAlign = align;
    this.context.fillText(content, x, y);
  }

  line(x1: number, y1: number, x2: number, y2: number, colour: string): void {
    const { context } = this;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
  }
}

/** The least of 1, 2, 5 times a power of ten that is not under `value`. */
function round125(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return [1, 2, 5, 10].find((step) => step * power >= value)! * power;
}

const digits = (value: number): string => String(Number(value.toPrecision(3)));

const LEFT = 52;
const BOTTOM = 18;

export class Waveform {
  private readonly surface: Surface;
  private scale = 0;
  private calm = 0; // draws for which a smaller scale would do

  constructor(canvas: HTMLCanvasElement) {
    this.surface = new Surface(canvas);
  }

  /** The last `samples` of each channel in its own lane; returns the scale that was chosen. */
  draw(channels: Float32Array[], names: string[], samples: number, unit: string): string {
    const { surface } = this;
    const context = surface.clear();
    const { ink, faint, grid, axes } = surface.colours;
    const shown = channels.map((channel) => channel.subarray(channel.length - samples));
    const means = shown.map((channel) => channel.reduce((sum, value) => sum + value, 0) / channel.length);
    this.fitScale(shown, means);
    const lane = (surface.height - BOTTOM) / Math.max(1, shown.length);
    const width = surface.width - LEFT;
    const gain = (lane * 0.46) / this.scale;
    shown.forEach((channel, c) => {
      const middle = lane * (c + 0.5);
      surface.line(LEFT, middle, surface.width, middle, grid);
      surface.text(names[c]!, 2, middle + 4, axes[c]!);
      context.strokeStyle = axes[c]!;
      context.lineWidth = 1.25;
      context.lineJoin = "round";
      context.beginPath();
      for (let i = 0; i < channel.length; i++) {
        const x = LEFT + (width * i) / (channel.length - 1);
        const y = middle - Math.max(-lane / 2, Math.min(lane / 2, (channel[i]! - means[c]!) * gain));
        if (i === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      }
      context.stroke();
    });
    const said = `±${digits(this.scale)} ${unit}`;
    surface.text(said, 2, 11, ink);
    for (const [x, at, align] of [[LEFT, "−1 s", "left"], [LEFT + width / 2, "−0.5 s", "center"], [surface.width, "0", "right"]] as const) {
      surface.text(at, x, surface.height - 4, faint, align);
    }
    return said;
  }

  private fitScale(shown: Float32Array[], means: number[]): void {
    let peak = 0;
    shown.forEach((channel, c) => {
      for (const value of channel) peak = Math.max(peak, Math.abs(value - means[c]!));
    });
    const wanted = round125(peak);
    this.calm = wanted < this.scale ? this.calm + 1 : 0;
    if (wanted > this.scale || this.calm > 90) {
      this.scale = wanted;
      this.calm = 0;
    }
  }
}

export interface Mark {
  name: string;
  hz: number;
}

export class SpectrumChart {
  private readonly surface: Surface;
  private smooth = new Float32Array();

  constructor(canvas: HTMLCanvasElement) {
    this.surface = new Surface(canvas);
  }

  /** Takes a new spectrum in, amplitude per bin; drawn is a mean over the last few. */
  add(amplitudes: Float32Array): void {
    if (this.smooth.length !== amplitudes.length) this.smooth = amplitudes.slice();
    for (let k = 0; k < amplitudes.length; k++) {
      this.smooth[k] = Math.sqrt(0.8 * this.smooth[k]! ** 2 + 0.2 * amplitudes[k]! ** 2);
    }
  }

  /** Logarithmic from a hundred-thousandth of a unit up to one; `hzPerBin` tells where bins lie. */
  draw(hzPerBin: number, marks: Mark[], unit: string): void {
    const { surface } = this;
    const context = surface.clear();
    const { ink, faint, grid, accent, bad } = surface.colours;
    const top = 20;
    const bottom = surface.height - BOTTOM;
    const width = surface.width - LEFT;
    const limit = hzPerBin * this.smooth.length;
    const x = (hz: number): number => LEFT + (width * hz) / limit;
    const y = (value: number): number => bottom - ((bottom - top) * (Math.log10(Math.max(value, 1e-5)) + 5)) / 5;
    for (const [value, label] of [[1e-4, "0.1 m"], [1e-3, "1 m"], [1e-2, "10 m"], [1e-1, "100 m"], [1, "1 "]] as const) {
      surface.line(LEFT, y(value), surface.width, y(value), grid);
      surface.text(label + unit, LEFT - 5, y(value) + 4, faint, "right");
    }
    const step = round125(limit / 6);
    for (let hz = 0; hz < limit; hz += step) surface.text(`${hz}${hz === 0 ? " Hz" : ""}`, x(hz), surface.height - 4, faint, hz === 0 ? "left" : "center");
    context.beginPath();
    for (let k = 1; k < this.smooth.length; k++) {
      const px = x(k * hzPerBin);
      if (k === 1) context.moveTo(px, y(this.smooth[k]!));
      else context.lineTo(px, y(this.smooth[k]!));
    }
    context.strokeStyle = accent;
    context.lineWidth = 1.25;
    context.stroke();
    context.lineTo(surface.width, bottom);
    context.lineTo(LEFT, bottom);
    context.globalAlpha = 0.12;
    context.fillStyle = accent;
    context.fill();
    context.globalAlpha = 1;
    let free = -Infinity; // labels that would overlap go one line down
    let row = 0;
    for (const { name, hz } of [...marks].sort((a, b) => a.hz - b.hz)) {
      if (hz >= limit) continue;
      const px = x(hz);
      row = px < free ? row + 1 : 0;
      const bearing = name.startsWith("BP");
      context.setLineDash([3, 3]);
      surface.line(px, 14 + 13 * row, px, bottom, bearing ? bad : ink);
      context.setLineDash([]);
      surface.text(name, px, 11 + 13 * row, bearing ? bad : ink, "center");
      free = px + context.measureText(name).width + 8;
    }
  }
}

export class Bands {
  private readonly surface: Surface;

  constructor(canvas: HTMLCanvasElement) {
    this.surface = new Surface(canvas);
  }

  /** `input` as the model gets it: for each axis `bands` values, then its statistics; 0 is the average of the training. */
  draw(input: Int8Array, names: string[], edgesHz: number[], statistics: string): void {
    const { surface } = this;
    const context = surface.clear();
    const { faint, grid, axes } = surface.colours;
    const perAxis = input.length / names.length;
    const bands = edgesHz.length - 1;
    const extra = perAxis - bands;
    const lane = (surface.height - BOTTOM) / names.length;
    const left = 20;
    const gap = extra > 0 ? 14 : 0;
    const pitch = (surface.width - left - gap) / perAxis;
    const place = (i: number): number => left + pitch * i + (i >= bands ? gap : 0);
    names.forEach((name, a) => {
      const middle = lane * (a + 0.5);
      surface.text(name, 2, middle + 4, axes[a]!);
      surface.line(left, middle, surface.width, middle, grid);
      context.fillStyle = axes[a]!;
      for (let i = 0; i < perAxis; i++) {
        const height = (input[a * perAxis + i]! / 128) * lane * 0.47;
        context.fillRect(place(i), Math.min(middle, middle - height), Math.max(1, pitch - 1), Math.max(1, Math.abs(height)));
      }
    });
    let free = -Infinity;
    for (let i = 0; i <= bands; i++) {
      const label = `${Math.round(edgesHz[i]!)}${i === 0 ? " Hz" : ""}`;
      if (left + pitch * i < free || left + pitch * i > place(bands) - 60) continue;
      surface.text(label, left + pitch * i, surface.height - 4, faint);
      free = left + pitch * i + 58;
    }
    if (extra > 0) surface.text(statistics, surface.width, surface.height - 4, faint, "right");
  }
}

export class Ribbon {
  private readonly surface: Surface;
  private readonly verdicts: { atMs: number; top: number; share: number }[] = [];

  constructor(canvas: HTMLCanvasElement) {
    this.surface = new Surface(canvas);
  }

  add(atMs: number, top: number, share: number): void {
    this.verdicts.push({ atMs, top, share });
    while (this.verdicts.length > 0 && this.verdicts[0]!.atMs < atMs - 60_000) this.verdicts.shift();
  }

  restart(): void {
    this.verdicts.length = 0;
  }

  draw(nowMs: number): void {
    const { surface } = this;
    const context = surface.clear();
    const { good, bad, unknown } = surface.colours;
    for (const { atMs, top, share } of this.verdicts) {
      const x = surface.width * (1 - (nowMs - atMs) / 60_000);
      const height = top <= 0 ? surface.height * 0.5 : surface.height * (0.3 + 0.7 * share);
      context.fillStyle = top < 0 ? unknown : top === 0 ? good : bad;
      context.globalAlpha = top < 0 ? 0.7 : 0.35 + 0.65 * share;
      context.fillRect(x - 2, surface.height - height, 2, height);
    }
    context.globalAlpha = 1;
  }
}
