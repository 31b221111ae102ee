// What the vendored scripts put into the page.
declare const htmx: { trigger(element: Element, name: string): void };
declare class uPlot {
  constructor(options: object, data: (number | null)[][], place: HTMLElement);
  readonly width: number;
  destroy(): void;
}
