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
  /** Everything, as it is now. */
  hello(): Omit<Hello, 'controls'>;
  /** What is new since the last, as JSON; undefined where nothing is. */
  frame(): string | undefined;
  close(): void;
}
