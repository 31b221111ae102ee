/** Recordings that a visitor drops: CSV, WAV, and NPZ of Whir's format. They are read here and go nowhere. */
import contract from "@built/contract.json";

import type { Sensor } from "./node";
import { Problem } from "./text";

export interface Recording {
  name: string;
  channels: number;
  /** Sample-major physical values. */
  values: Float64Array;
  /** One count in them, where the file holds counts. */
  lsb: number | null;
  /** Null where the file does not say. */
  rateHz: number | null;
  unit: string | null;
  rpm: number | null;
}

const CHANNELS_MAX = 3;
const FULL_SCALE: Record<string, number> = { g: 16, mps2: 160 };

export async function readRecording(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Recording> {
  const ending = name.toLowerCase().split(".").pop();
  const read = { csv: readCsv, txt: readCsv, tsv: readCsv, wav: readWav, npz: readNpz }[ending ?? ""];
  if (!read) throw new Problem("error.file_kind", { name });
  const recording = await read(name, bytes);
  if (recording.values.length === 0 || recording.values.some((value) => !Number.isFinite(value))) {
    throw new Problem("error.no_numbers", { name });
  }
  return recording;
}

/** Counts as the file has them; where it has none, those of a sensor whose range holds FULL_SCALE and the largest value. */
export function asCounts(recording: Recording, rateHz: number, unit: string): { samples: Int16Array; sensor: Sensor } {
  const { values, channels } = recording;
  const peak = values.reduce((most, value) => Math.max(most, Math.abs(value)), FULL_SCALE[unit] ?? 0);
  const lsbNano = Math.max(1, recording.lsb ? Math.round(recording.lsb * 1e9) : Math.ceil((peak * 1e9) / 32700));
  const unitCode = Number(Object.entries(contract.unit).find(([, known]) => known === unit)![0]);
  const samples = Int16Array.from(values, (value) => Math.max(-32768, Math.min(32767, Math.round((value * 1e9) / lsbNano))));
  return {
    samples,
    sensor: {
      rate_mhz: Math.round(rateHz * 1000),
      bandwidth_hz: Math.floor(rateHz / 2),
      range_milli: Math.max(1, Math.floor((32767 * lsbNano) / 1e6)),
      noise_ug_rthz: 1, // a file does not tell
      lsb_nano: lsbNano,
      unit: unitCode,
      channels,
    },
  };
}

/** Numbers in columns, with or without a header; a first column that rises evenly is the time. */
function readCsv(name: string, bytes: Uint8Array): Recording {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/);
  const rows: number[][] = [];
  let header: string[] = [];
  for (const line of lines) {
    const cells = line.split(/[;,\t]|\s+/).map((cell) => cell.trim()).filter((cell) => cell !== "");
    if (cells.length === 0 || cells[0]!.startsWith("#")) continue;
    const numbers = cells.map(Number);
    if (numbers.every((value) => !Number.isNaN(value))) {
      if (rows.length > 0 && numbers.length !== rows[0]!.length) throw new Problem("error.csv_row", { name, row: rows.length + 1 });
      rows.push(numbers);
    } else if (rows.length === 0) header = cells.map((cell) => cell.toLowerCase());
    else throw new Problem("error.csv_row", { name, row: rows.length + 1 });
  }
  if (rows.length < 2) throw new Problem("error.no_numbers", { name });
  const width = rows[0]!.length;
  const steps = rows.slice(1, 200).map((row, i) => row[0]! - rows[i]![0]!);
  const step = (rows[rows.length - 1]![0]! - rows[0]![0]!) / (rows.length - 1);
  const timed = width > 1 && step > 0 && steps.every((s) => s > 0 && Math.abs(s - step) < 0.5 * step);
  const named = /^(t|time|timestamp|seconds)/.test(header[0] ?? "") || header.length === 0;
  const first = timed && named ? 1 : 0;
  const channels = Math.min(CHANNELS_MAX, width - first);
  const unitText = header.slice(first).join(" ");
  return {
    name,
    channels,
    values: Float64Array.from(rows.flatMap((row) => row.slice(first, first + channels))),
    lsb: null,
    rateHz: first ? (/ms/.test(header[0] ?? "") ? 1000 : 1) / step : null,
    unit: /m\/s/.test(unitText) ? "mps2" : /\bg\b/.test(unitText) ? "g" : null,
    rpm: null,
  };
}

/** PCM of 8 to 32 bits and 32-bit float; full scale is taken as one unit. */
function readWav(name: string, bytes: Uint8Array): Recording {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== "RIFF" || tag(8) !== "WAVE") throw new Problem("error.broken", { name });
  let format = { code: 0, channels: 0, rateHz: 0, bits: 0 };
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === "fmt " && body + 16 <= bytes.length) {
      const code = view.getUint16(body, true);
      format = {
        code: code === 0xfffe && size >= 26 ? view.getUint16(body + 24, true) : code, // the extensible kind says it later
        channels: view.getUint16(body + 2, true),
        rateHz: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      };
    }
    if (tag(at) === "data") return wavSamples(name, view, body, Math.min(size, bytes.length - body), format);
    at = body + size + (size & 1);
  }
  throw new Problem("error.broken", { name });
}

function wavSamples(
  name: string,
  view: DataView,
  from: number,
  size: number,
  { code, channels, rateHz, bits }: { code: number; channels: number; rateHz: number; bits: number },
): Recording {
  const readers: Record<string, (at: number) => number> = {
    "1/8": (at) => (view.getUint8(at) - 128) / 128,
    "1/16": (at) => view.getInt16(at, true) / 32768,
    "1/24": (at) => (view.getInt16(at + 1, true) * 256 + view.getUint8(at)) / 8388608,
    "1/32": (at) => view.getInt32(at, true) / 2147483648,
    "3/32": (at) => view.getFloat32(at, true),
  };
  const read = readers[`${code}/${bits}`];
  if (!read || channels === 0 || rateHz === 0) throw new Problem("error.wav_kind", { name });
  const bytesPerFrame = (channels * bits) / 8;
  const kept = Math.min(CHANNELS_MAX, channels);
  const frames = Math.floor(size / bytesPerFrame);
  const values = new Float64Array(frames * kept);
  for (let i = 0; i < frames; i++) {
    for (let c = 0; c < kept; c++) values[i * kept + c] = read(from + i * bytesPerFrame + (c * bits) / 8);
  }
  return { name, channels: kept, values, lsb: null, rateHz, unit: null, rpm: null };
}

interface Array_ {
  shape: number[];
  values: Float64Array;
  text: string;
}

/** contracts/whir_contracts/recording.py has the keys. */
async function readNpz(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Recording> {
  const files = await unzip(name, bytes);
  const array = (key: string): Array_ | null => {
    const file = files.get(`${key}.npy`);
    return file ? readNpy(name, file) : null;
  };
  const x = array("x");
  if (!x || x.shape.length < 1) throw new Problem("error.npz_key", { name });
  const width = x.shape[1] ?? 1;
  const channels = Math.min(CHANNELS_MAX, width);
  const scale = array("scale")?.values;
  const values = new Float64Array(x.shape[0]! * channels);
  for (let i = 0; i < x.shape[0]!; i++) {
    for (let c = 0; c < channels; c++) values[i * channels + c] = x.values[i * width + c]! * (scale?.[c] ?? 1);
  }
  const rpm = array("rpm")?.values[0];
  const units: Record<string, string> = { g: "g", "m/s^2": "mps2", V: "volt" };
  return {
    name,
    channels,
    values,
    lsb: scale ? Math.max(...scale) : null,
    rateHz: array("fs")?.values[0] ?? null,
    unit: units[array("unit")?.text ?? ""] ?? null,
    rpm: rpm !== undefined && rpm > 0 ? rpm : null,
  };
}

/** Files of a zip by name, read from its central directory. */
async function unzip(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, Uint8Array>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw new Problem("error.broken", { name });
  const files = new Map<string, Uint8Array>();
  try {
    let at = view.getUint32(end + 16, true);
    for (let left = view.getUint16(end + 10, true); left > 0; left--) {
      const method = view.getUint16(at + 10, true);
      const size = view.getUint32(at + 20, true);
      const nameBytes = view.getUint16(at + 28, true);
      const local = view.getUint32(at + 42, true);
      const file = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameBytes));
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const packed = bytes.slice(from, from + size);
      files.set(file, method === 0 ? packed : await inflate(packed));
      at += 46 + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
  } catch {
    throw new Problem("error.broken", { name });
  }
  return files;
}

async function inflate(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers and texts, little-endian, in C order. */
function readNpy(name: string, file: Uint8Array): Array_ {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const long = view.getUint8(6) > 1;
  const headerBytes = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const from = (long ? 12 : 10) + headerBytes;
  const header = new TextDecoder().decode(file.subarray(long ? 12 : 10, from));
  const kind = /'descr':\s*'([<|=]?)(\w)(\d+)'/.exec(header);
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((n) => n.trim() !== "").map(Number);
  if (!kind || /'fortran_order':\s*True/.test(header)) throw new Problem("error.npy_kind", { name });
  const [letter, size] = [kind[2]!, Number(kind[3])];
  const count = shape.reduce((product, n) => product * n, 1);
  if (letter === "U") {
    const points = Array.from({ length: count * size }, (_, i) => view.getUint32(from + 4 * i, true));
    return { shape, values: new Float64Array(), text: String.fromCodePoint(...points.filter((point) => point !== 0)) };
  }
  const readers: Record<string, (at: number) => number> = {
    i1: (at) => view.getInt8(at), i2: (at) => view.getInt16(at, true), i4: (at) => view.getInt32(at, true),
    i8: (at) => Number(view.getBigInt64(at, true)), u1: (at) => view.getUint8(at), u2: (at) => view.getUint16(at, true),
    f4: (at) => view.getFloat32(at, true), f8: (at) => view.getFloat64(at, true),
  };
  const read = readers[letter + size];
  if (!read || from + count * size > file.length) throw new Problem("error.npy_kind", { name });
  return { shape, values: Float64Array.from({ length: count }, (_, i) => read(from + i * size)), text: "" };
}
