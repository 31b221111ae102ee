/** The motor, drawn and moved: from the side, and along the shaft into the bearing. Slower and larger than life. */
import type { Controls, Synth } from "./simulator";
import { t } from "./text";

const SVG = "http://www.w3.org/2000/svg";
/** Times slower than real: 1,500 rpm turn once a second. */
export const SLOW = 25;

type Attributes = Record<string, string | number>;

function draw(tag: string, attributes: Attributes, ...children: SVGElement[]): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

const rect = (cls: string, x: number, y: number, width: number, height: number, rx = 3): SVGElement =>
  draw("rect", { class: cls, x, y, width, height, rx });
const circle = (cls: string, cx: number, cy: number, r: number): SVGElement => draw("circle", { class: cls, cx, cy, r });
const path = (cls: string, d: string): SVGElement => draw("path", { class: cls, d });
const group = (cls: string, ...children: SVGElement[]): SVGElement => draw("g", { class: cls }, ...children);
const word = (cls: string, x: number, y: number, content: string): SVGElement => {
  const element = draw("text", { class: cls, x, y, "text-anchor": "middle" });
  element.textContent = content;
  return element;
};
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Stripes that wander over a turning part: the lines of its surface, seen from the side. */
class Turning {
  readonly element: SVGElement;
  private readonly lines: SVGElement[];

  constructor(
    private readonly x: number,
    private readonly width: number,
    private readonly middle: number,
    private readonly radius: number,
    lines: number,
  ) {
    this.lines = range(lines).map(() => path("groove", ""));
    this.element = group("", rect("steel", x, middle - radius, width, 2 * radius, 2), ...this.lines);
  }

  turn(angle: number): void {
    this.lines.forEach((line, i) => {
      const at = angle + (2 * Math.PI * i) / this.lines.length;
      const y = this.middle - this.radius * Math.sin(at);
      line.setAttribute("d", `M${this.x + 1} ${y.toFixed(2)}h${this.width - 2}`);
      line.setAttribute("opacity", Math.max(0, Math.cos(at)).toFixed(2));
    });
  }
}

const AXIS_Y = 160;
const CENTRE = 150; // of the view along the shaft
const OUTER = 84;
const BALLS = 64;
const INNER = 45;

export class Motor {
  private readonly body: SVGElement;
  private readonly driven: SVGElement;
  private readonly parts: Turning[];
  private readonly hub: SVGElement;
  private readonly rotor: SVGElement;
  private readonly cage: SVGElement;
  private readonly sensor: SVGElement;
  private readonly mass: SVGElement;
  private readonly spots: { outer: SVGElement; inner: SVGElement; ball: SVGElement };

  constructor(
    root: HTMLElement,
    private readonly synth: Synth,
  ) {
    const shaft = new Turning(372, 62, AXIS_Y, 11, 5);
    const flange = new Turning(432, 16, AXIS_Y, 30, 8);
    const drivenFlange = new Turning(454, 16, AXIS_Y, 30, 8);
    const drivenShaft = new Turning(470, 36, AXIS_Y, 11, 5);
    this.parts = [shaft, flange, drivenFlange, drivenShaft];
    this.body = group(
      "",
      rect("dark", 128, 236, 44, 14),
      rect("dark", 268, 236, 44, 14),
      rect("housing", 62, 102, 40, 116, 10),
      ...range(6).map((i) => rect("slot", 70, 116 + 16 * i, 18, 6, 3)),
      rect("housing", 98, 86, 232, 152, 12),
      ...range(9).map((i) => path("fin", `M108 ${102 + 15 * i}H320`)),
      rect("housing", 328, 98, 24, 128, 8),
      rect("dark", 350, 132, 24, 56, 4),
      rect("dark", 150, 56, 84, 34, 5),
      path("fin", "M160 66h64"),
      group("board", rect("pcb", 276, 68, 54, 18, 3), rect("chip", 284, 72, 14, 10, 1), rect("chip", 302, 73, 8, 8, 1), circle("led", 321, 77, 4)),
      shaft.element,
      flange.element,
    );
    this.driven = group(
      "",
      drivenFlange.element,
      drivenShaft.element,
      rect("pipe", 556, 34, 32, 60, 0),
      rect("dark", 546, 26, 52, 12, 3),
      rect("dark", 520, 236, 110, 14),
      rect("housing", 502, 88, 140, 150, 34),
      circle("volute", 572, AXIS_Y, 46),
      (this.hub = group("hub", ...range(5).map((i) => path("blade", bladePath(i / 5))), circle("steel", 572, AXIS_Y, 10))),
    );
    const side = draw(
      "svg",
      { viewBox: "40 10 640 270", role: "img", "aria-label": t("motor.side") },
      path("ground", "M40 264H680"),
      ...range(40).map((i) => path("hatch", `M${48 + 16 * i} 264l-9 10`)),
      rect("plate", 84, 250, 572, 14, 3),
      this.driven,
      this.body,
    );

    const at = (radius: number, turns: number): [number, number] => [
      CENTRE + radius * Math.sin(2 * Math.PI * turns),
      CENTRE - radius * Math.cos(2 * Math.PI * turns),
    ];
    const ballRadius = (BALLS * synth.bearing.ball_mm) / synth.bearing.pitch_mm;
    const balls = range(synth.bearing.balls).map((i) => circle("ball", ...at(BALLS, i / synth.bearing.balls), ballRadius));
    this.spots = {
      outer: path("spot", arc(BALLS + ballRadius + 1, 0.5, 0.028)),
      inner: path("spot", arc(BALLS - ballRadius - 1, 0, 0.035)),
      ball: circle("spot-ball", ...at(BALLS, 0), ballRadius * 0.55),
    };
    this.mass = circle("mass", ...at(24, 0.25), 6);
    this.rotor = group(
      "rotor",
      circle("race", CENTRE, CENTRE, BALLS - ballRadius),
      circle("shaft", CENTRE, CENTRE, INNER - 11),
      rect("key", CENTRE - 5, CENTRE - INNER + 8, 10, 9, 1),
      this.mass,
      this.spots.inner,
    );
    this.cage = group("cage", ...balls, this.spots.ball);
    this.sensor = group(
      "board",
      rect("pcb", CENTRE - 22, 14, 44, 14, 3),
      rect("chip", CENTRE - 14, 17, 11, 8, 1),
      circle("led", CENTRE + 13, 21, 3.5),
    );
    const end = draw(
      "svg",
      { viewBox: "10 0 280 292", role: "img", "aria-label": t("motor.end") },
      ...range(48).map((i) => path("fin", radial(at, 112, 118, i / 48))),
      this.sensor,
      circle("housing", CENTRE, CENTRE, 112),
      circle("race", CENTRE, CENTRE, OUTER + 8),
      circle("track", CENTRE, CENTRE, BALLS + ballRadius),
      this.rotor,
      this.cage,
      this.spots.outer,
      word("caption", CENTRE, CENTRE + 137, t("motor.bearing", { name: synth.bearing.name })),
    );
    root.replaceChildren(side, end);
  }

  /** Shows revolutions of shaft and cage as they are now, and what the controls do to the machine. */
  show(revolutions: number, cage: number, controls: Controls | null, still: boolean): void {
    const angle = still ? 0.6 : (2 * Math.PI * revolutions) / SLOW;
    for (const part of this.parts) part.turn(angle);
    const degrees = (angle * 180) / Math.PI;
    this.hub.setAttribute("transform", `rotate(${(degrees % 360).toFixed(2)} 572 ${AXIS_Y})`);
    this.rotor.setAttribute("transform", `rotate(${(degrees % 360).toFixed(2)} ${CENTRE} ${CENTRE})`);
    const cageDegrees = still ? 0 : ((cage / SLOW) * 360) % 360;
    this.cage.setAttribute("transform", `rotate(${cageDegrees.toFixed(2)} ${CENTRE} ${CENTRE})`);
    const { levels } = this.synth;
    const share = (value: number, all: number[]): number => value / all[all.length - 1]!;
    const imbalance = controls ? share(controls.imbalance_um, levels.eccentricity_um) : 0;
    const misalignment = controls ? share(controls.misalignment_mg, levels.misalignment_mg) : 0;
    const looseness = controls ? share(controls.looseness_mg, levels.looseness_mg) : 0;
    const sway = still ? 0 : 1;
    const x = sway * (4 * imbalance * Math.cos(angle) + 1.5 * misalignment * Math.cos(2 * angle));
    const y = sway * (-3 * imbalance * Math.sin(angle) - 6 * looseness * Math.max(0, Math.sin(angle / 2)));
    this.body.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${(-0.8 * looseness * sway * Math.max(0, Math.sin(angle / 2))).toFixed(2)} 290 250)`);
    this.driven.setAttribute("transform", `translate(0 ${(9 * misalignment).toFixed(2)})`);
    this.mass.setAttribute("r", (3 + 8 * imbalance).toFixed(1));
    this.mass.setAttribute("opacity", imbalance > 0 ? "1" : "0");
    this.sensor.setAttribute("transform", `rotate(${controls?.mount_deg ?? 0} ${CENTRE} ${CENTRE})`);
    const visible = (value: number): string => (value > 0 ? "1" : "0");
    this.spots.outer.setAttribute("opacity", visible(controls?.outer_mm_s ?? 0));
    this.spots.inner.setAttribute("opacity", visible(controls?.inner_mm_s ?? 0));
    this.spots.ball.setAttribute("opacity", visible(controls?.ball_mm_s ?? 0));
  }
}

function bladePath(turns: number): string {
  const point = (radius: number, by: number): string => {
    const angle = 2 * Math.PI * (turns + by);
    return `${(572 + radius * Math.cos(angle)).toFixed(1)} ${(AXIS_Y + radius * Math.sin(angle)).toFixed(1)}`;
  };
  return `M${point(9, 0)}Q${point(28, 0.02)} ${point(40, 0.1)}`;
}

function arc(radius: number, turns: number, half: number): string {
  const point = (by: number): string => {
    const angle = 2 * Math.PI * (turns + by);
    return `${(CENTRE + radius * Math.sin(angle)).toFixed(1)} ${(CENTRE - radius * Math.cos(angle)).toFixed(1)}`;
  };
  return `M${point(-half)}A${radius} ${radius} 0 0 1 ${point(half)}`;
}

function radial(at: (radius: number, turns: number) => [number, number], from: number, to: number, turns: number): string {
  return `M${at(from, turns).map((v) => v.toFixed(1)).join(" ")}L${at(to, turns).map((v) => v.toFixed(1)).join(" ")}`;
}
