/** The visitor's own recordings, bundles and keys: dropped or chosen, read here, sent nowhere. */
import contract from "@built/contract.json";
import first from "@built/first.whir";

import { importKey, isBundle, keyIdOf, type TrustedKey, vouchFor } from "./bundle";
import { byId, make, say } from "./dom";
import { readRecording, type Recording } from "./recording";
import type { Message, Session } from "./session";
import { nameOf, Problem, t } from "./text";

export class Files {
  private pending: Recording | null = null;
  private refusal = "";

  constructor(
    private readonly session: Session,
    private readonly keys: TrustedKey[],
  ) {
    const input = byId<HTMLInputElement>("file");
    input.addEventListener("change", () => {
      void this.take([...(input.files ?? [])]);
      input.value = "";
    });
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      void this.take([...(event.dataTransfer?.files ?? [])]);
    });
    byId("back").addEventListener("click", () => this.back());
    byId("back-model").addEventListener("click", () => void this.install(t("verdict.model"), first).catch(tell));
    const form = byId<HTMLFormElement>("recording");
    const units = Object.values(contract.unit).map((unit) => make("option", { value: unit }, nameOf("unit", unit)));
    form.querySelector("select")!.append(...units);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.play();
    });
  }

  /** What the node said of an update, or of a recording as its sensor. */
  heard({ topic, payload }: Message): void {
    const code = typeof payload.code === "string" ? payload.code : "";
    const values = { code, text: contract.error_text[code] ?? "" };
    if (topic === "ack" && payload.c === "update" && code) say(byId("file-said"), t("files.update_refused", values) + this.refusal);
    if (topic !== "event") return;
    if (payload.kind === "boot" && code && this.pending) say(byId("file-said"), t("error.refused", values));
    if (payload.kind === "update_refused") {
      const hint = code === "bundle_signature" ? ` ${this.refusal}` : "";
      say(byId("file-said"), t("files.update_refused", values) + hint);
    }
    if (payload.kind === "update_confirmed") {
      const { model } = this.session.node;
      if (model) say(byId("file-said"), t("files.update_done", { model: model.name, version: model.version }));
    }
  }

  /** Keys first, so that they hold for the bundle dropped with them. */
  private async take(files: File[]): Promise<void> {
    const read = await Promise.all(files.map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));
    const isKey = ({ name }: { name: string }): boolean => /\.pem$/i.test(name);
    try {
      for (const { name, bytes } of read.filter(isKey)) await this.takeKey(name, new TextDecoder().decode(bytes), read.map((f) => f.bytes));
      for (const { name, bytes } of read.filter((file) => !isKey(file))) {
        if (/\.whir$/i.test(name) || isBundle(bytes)) await this.install(name, bytes);
        else this.offerRecording(await readRecording(name, bytes));
      }
    } catch (error) {
      tell(error);
    }
  }

  /** A key holds for the key id of the bundles that come with it, or for those of the next ones. */
  private async takeKey(name: string, pem: string, files: Uint8Array[]): Promise<void> {
    const key = await importKey(pem).catch((error: unknown) => {
      throw error instanceof Problem ? error : new Problem("error.key", { name });
    });
    const ids = files.filter(isBundle).map(keyIdOf);
    for (const keyId of ids.length > 0 ? ids : [1]) this.keys.push({ keyId, key });
    say(byId("file-said"), t("files.key_added", { name }));
  }

  private async install(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.refusal = isBundle(bytes) ? t("files.hint_key", { key: keyIdOf(bytes) }) : "";
    say(byId("file-said"), t("files.updating", { name, bytes: bytes.length.toLocaleString("en") }));
    if (isBundle(bytes)) await vouchFor(this.session.node, bytes, this.keys);
    this.session.offer(bytes);
    byId("back-model").hidden = bytes === first;
  }

  private offerRecording(recording: Recording): void {
    this.pending = recording;
    const { name, channels, rateHz, values } = recording;
    const count = values.length / channels;
    say(byId("file-said"), rateHz
      ? t("files.read", { name, channels, rate: Number(rateHz.toFixed(1)), seconds: (count / rateHz).toFixed(1) })
      : t("files.read_no_rate", { name, channels, count }));
    const form = byId<HTMLFormElement>("recording");
    const field = (of: string): HTMLInputElement => form.elements.namedItem(of) as HTMLInputElement;
    field("rate").value = rateHz ? String(Number(rateHz.toFixed(3))) : "";
    field("unit").value = recording.unit ?? "g";
    field("rpm").value = recording.rpm ? String(recording.rpm) : "";
    form.hidden = false;
  }

  private play(): void {
    const data = new FormData(byId<HTMLFormElement>("recording"));
    const rate = Number(data.get("rate"));
    const rpm = Number(data.get("rpm"));
    try {
      if (!(rate > 0)) throw new Problem("error.rate");
      this.session.play(this.pending!, rate, String(data.get("unit")), rpm > 0 ? rpm : null);
      byId("back").hidden = false;
    } catch (error) {
      tell(error);
    }
  }

  private back(): void {
    this.pending = null;
    this.session.simulate();
    byId("back").hidden = true;
    byId("recording").hidden = true;
    say(byId("file-said"), "");
  }
}

function tell(error: unknown): void {
  if (!(error instanceof Error)) throw error;
  say(byId("file-said"), error.message);
}
