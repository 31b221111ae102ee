/** What `whir web` makes for the page: tools/whir_tools/web/facts.py. */
declare module "@built/core.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
declare module "@built/first.whir" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
declare module "@built/key.json" {
  const key: { key_id: number; spki: string };
  export default key;
}
declare module "@built/synth.json" {
  const synth: import("./simulator").Synth;
  export default synth;
}
declare module "@built/contract.json" {
  type Names = Record<string, string>;
  const contract: {
    node_state: Names;
    alert_state: Names;
    watch: Names;
    severity: Names;
    quality: Names;
    unit: Names;
    zone: Names;
    zone_reason: Names;
    errors: Names;
    error_text: Names;
    bundle: { magic: number; header_bytes: number; signature_bytes: number; offsets: Record<string, number> };
    classes_max: number;
    kind_bands: number;
    novelty_none: number;
    hardware: { slot_bytes: number; arena_bytes: number };
  };
  export default contract;
}
declare module "@built/chip.json" {
  const chip: {
    what: string;
    model: string;
    flash_bytes: number;
    model_bytes: number;
    arena_bytes: number;
    state_bytes: number;
    stack_bytes: number;
    instructions: number;
    parts: { condition: number; features: number; infer: number };
    clock_hz: number;
    cycles_per_instruction: number;
    flash_bytes_per_s: number;
    ms: number;
  };
  export default chip;
}
