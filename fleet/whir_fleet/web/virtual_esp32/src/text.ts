/** Every word that the page shows, from en.json. Another language is another file with the same keys. */
import english from "../en.json";

export type Key = keyof typeof english;

/** `{name}` in a text is replaced by the value of that name. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return english[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** A text for a name that comes from the core or from a model: classes of others' models have none, and stay as they are. */
export function nameOf(group: string, name: string): string {
  const key = `${group}.${name}`;
  return key in english ? t(key as Key) : name;
}

/** Fills the elements of the page that name their text with data-t (or, for a label, data-t-label). */
export function fillTexts(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLElement>("[data-t]")) element.textContent = t(element.dataset.t as Key);
  for (const element of root.querySelectorAll<HTMLElement>("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel as Key));
  }
}

/** Something that the visitor can mend; the message is for them. */
export class Problem extends Error {
  constructor(key: Key, values: Record<string, string | number> = {}) {
    super(t(key, values));
  }
}
