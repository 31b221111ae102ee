/** Sliders and examples: what the visitor does to the machine. */
import { byId, make, say } from "./dom";
import type { Controls, Synth } from "./simulator";
import { t, type Key } from "./text";

interface Slider {
  name: keyof Controls;
  min: number;
  max: number;
  step: number;
  unit: string;
  /** Shown value per value. */
  factor: number;
  /** Sizes of the fault from early to grave. */
  levels: number[];
}

const SEVERITIES: Key[] = ["severity_of.none", "severity_of.early", "severity_of.clear", "severity_of.serious", "severity_of.grave"];

function groups(synth: Synth): [Key, Slider[]][] {
  const { levels, sensor } = synth;
  const plain = (name: keyof Controls, min: number, max: number, step: number, unit: string, factor = 1): Slider => ({
    name, min, max, step, unit, factor, levels: [],
  });
  const fault = (name: keyof Controls, sizes: number[], step: number, unit: string): Slider => ({
    name, min: 0, max: sizes[sizes.length - 1]!, step, unit, factor: 1, levels: sizes,
  });
  return [
    ["controls.machine", [plain("speed_rpm", 1200, 2980, 10, "rpm"), plain("load", 0, 1, 0.05, "%", 100)]],
    ["controls.faults", [
      fault("imbalance_um", levels.eccentricity_um, 1, "µm"),
      fault("misalignment_mg", levels.misalignment_mg, 1, "mg"),
      fault("looseness_mg", levels.looseness_mg, 1, "mg"),
    ]],
    ["controls.bearing", [
      fault("outer_mm_s", levels.impact_mm_s, 0.1, "mm/s"),
      fault("inner_mm_s", levels.impact_mm_s, 0.1, "mm/s"),
      fault("ball_mm_s", levels.impact_mm_s, 0.1, "mm/s"),
    ]],
    ["controls.sensor", [
      plain("noise_ug_rthz", sensor.noise_ug_rthz, 30 * sensor.noise_ug_rthz, sensor.noise_ug_rthz / 10, "µg/√Hz"),
      plain("mount_deg", -70, 70, 1, "°"),
    ]],
  ];
}

export function healthy(synth: Synth): Controls {
  return {
    speed_rpm: 1500, load: 0.6, imbalance_um: 0, misalignment_mg: 0, outer_mm_s: 0, inner_mm_s: 0, ball_mm_s: 0, looseness_mg: 0,
    noise_ug_rthz: synth.sensor.noise_ug_rthz, mount_deg: 0,
  };
}

function presets(synth: Synth): [Key, Partial<Controls>][] {
  const { levels } = synth;
  return [
    ["preset.healthy", {}],
    ["preset.imbalance", { imbalance_um: levels.eccentricity_um[2]! }],
    ["preset.misalignment", { misalignment_mg: levels.misalignment_mg[2]! }],
    ["preset.bearing", { outer_mm_s: levels.impact_mm_s[2]! }],
    ["preset.early", { inner_mm_s: levels.impact_mm_s[0]! }],
    ["preset.loose", { looseness_mg: levels.looseness_mg[2]! }],
  ];
}

/** Draws the sliders and keeps `controls`, which the simulator reads, up to date. */
export function showControls(synth: Synth, controls: Controls): void {
  const form = byId<HTMLFormElement>("controls");
  const refresh: (() => void)[] = [];
  for (const [title, sliders] of groups(synth)) {
    const set = make("fieldset", {}, make("legend", {}, t(title)));
    for (const slider of sliders) {
      const { row, update } = sliderRow(slider, controls);
      set.append(row);
      refresh.push(update);
    }
    form.append(set);
  }
  const buttons = presets(synth).map(([name, changes]) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, t(name));
    button.addEventListener("click", () => {
      const { speed_rpm, load, noise_ug_rthz, mount_deg } = controls;
      Object.assign(controls, healthy(synth), { speed_rpm, load, noise_ug_rthz, mount_deg }, changes);
      refresh.forEach((update) => update());
      press(button);
    });
    return button;
  });
  const press = (pressed: HTMLElement | null): void =>
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
  form.addEventListener("input", () => press(null));
  press(buttons[0]!);
  byId("presets").append(...buttons);
}

function sliderRow(slider: Slider, controls: Controls): { row: HTMLElement; update: () => void } {
  const { name, min, max, step, unit, factor, levels } = slider;
  const shown = make("output", {});
  const input = make("input", { type: "range", name, id: name, min: String(min), max: String(max), step: String(step) });
  const describe = (): string => {
    const value = controls[name];
    const number = `${Number((value * factor).toFixed(step * factor < 1 ? 1 : 0)).toLocaleString("en")}${unit === "°" ? "" : " "}${unit}`;
    if (levels.length === 0) return number;
    const severity = t(SEVERITIES[value <= 0 ? 0 : Math.max(1, levels.filter((size) => value >= size * 0.99).length)]!);
    return value <= 0 ? severity : `${severity} · ${number}`;
  };
  const update = (): void => {
    input.value = String(controls[name]);
    say(shown, describe());
    input.setAttribute("aria-valuetext", describe());
    input.style.setProperty("--filled", `${(100 * (controls[name] - min)) / (max - min)}%`);
  };
  input.addEventListener("input", () => {
    controls[name] = Number(input.value);
    update();
  });
  update();
  const label = make("label", { for: name }, t(`control.${name}` as Key));
  return { row: make("div", { class: "slider" }, label, shown, input), update };
}
