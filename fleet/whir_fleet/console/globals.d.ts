// What the vendored scripts put into the page.
declare const htmx: { trigger(element: Element, name: string): void };
declare class uPlot {
  constructor(options: object, data: (number | null)[][], place: HTMLElement);
  readonly width: number;
  readonly ctx: CanvasRenderingContext2D;
  readonly bbox: { left: number; top: number; width: number; height: number };
  valToPos(value: number, scale: string, canvas: boolean): number;
  destroy(): void;
}
