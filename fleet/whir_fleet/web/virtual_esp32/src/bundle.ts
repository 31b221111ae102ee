/** Signatures: WebCrypto checks them before the core asks, and the core checks that it was asked about the same bytes. */
import contract from "@built/contract.json";

import type { Node } from "./node";
import { Problem } from "./text";

/** A P-256 public key that may sign bundles. */
export interface TrustedKey {
  keyId: number;
  key: CryptoKey;
}

function field(bundle: Uint8Array, name: string): number {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  return view.getUint32(contract.bundle.offsets[name]!, true);
}

export function isBundle(bytes: Uint8Array): boolean {
  return bytes.length >= contract.bundle.header_bytes && field(bytes, "magic") === contract.bundle.magic;
}

export function keyIdOf(bundle: Uint8Array): number {
  return field(bundle, "key_id");
}

/** From SubjectPublicKeyInfo, as DER or as the text of a PEM file. */
export async function importKey(spki: Uint8Array<ArrayBuffer> | string): Promise<CryptoKey> {
  const der = typeof spki === "string" ? fromBase64(spki.replace(/-----[^-]*-----/g, "")) : spki;
  return subtle().importKey("spki", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/\s/g, "")), (c) => c.charCodeAt(0));
}

/** Tells the node of a valid signature. An invalid one is not told: the core then refuses the bundle by its own rule. */
export async function vouchFor(node: Node, bundle: Uint8Array<ArrayBuffer>, keys: TrustedKey[]): Promise<void> {
  const total = field(bundle, "total_bytes");
  const signed = bundle.slice(0, contract.bundle.header_bytes + field(bundle, "manifest_bytes"));
  const signature = bundle.slice(total - contract.bundle.signature_bytes, total);
  if (signature.length !== contract.bundle.signature_bytes) return;
  for (const { keyId, key } of keys.filter((known) => known.keyId === keyIdOf(bundle))) {
    if (await subtle().verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed)) {
      const digest = new Uint8Array(await subtle().digest("SHA-256", signed));
      const signedDigest = new Uint8Array(digest.length + signature.length);
      signedDigest.set(digest);
      signedDigest.set(signature, digest.length);
      node.vouch(keyId, signedDigest);
    }
  }
}

/** Browsers offer WebCrypto on https, on localhost and in local files only. */
function subtle(): SubtleCrypto {
  if (!globalThis.crypto?.subtle) throw new Problem("error.no_webcrypto");
  return crypto.subtle;
}
