import type { Hello } from './protocol.js';

/** What pages are told, wherever it comes from. */
export interface Source {
  /** For one page. `onTick` is called when there may be a frame. */
  open(onTick: () => void): Reader;
}

/** What one page is told. */
export interface Reader {
  /** There are frames after the hello. */
  readonly isEndless: boolean;
  /** Everything, as it is now: the first line, as JSON without its end. */
  hello(controls: Hello['controls']): string | Buffer;
  /** What is new since the last, as JSON; undefined where nothing is. */
  frame(): string | undefined;
  close(): void;
}
