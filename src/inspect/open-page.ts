import type { ServerResponse } from 'node:http';
import type { Hello } from './protocol.js';
import type { Reader, Source } from './source.js';

/** A page that takes nothing for this long has gone, or sleeps: it makes room for others, and asks again when it wakes. */
const MAX_STALL_MS = 30_000;

/**
 * The stream of one page. While the page has not taken what was written, nothing is written: its reader tells later what has become of
 * it. So what waits for a page is never more than one message.
 */
export class OpenPage {
  readonly #response: ServerResponse;
  readonly #reader: Reader;
  readonly #controls: () => Hello['controls'];
  /** Since when the page has not taken what was written; undefined while it does. */
  #fullSinceMs: number | undefined;

  constructor(response: ServerResponse, source: Source, controls: () => Hello['controls']) {
    this.#response = response;
    this.#controls = controls;
    this.#reader = source.open(() => this.tick());
    response.on('drain', () => (this.#fullSinceMs = undefined));
    response.once('close', () => this.#reader.close());
  }

  begin(): void {
    this.#response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
    this.#write(JSON.stringify({ ...this.#reader.hello(), controls: this.#controls() } satisfies Hello));
    if (!this.#reader.isEndless) this.#response.end();
  }

  /** Time for a frame. One that cannot be made ends the page, and hurts nobody else. */
  tick(): void {
    try {
      this.#tick();
    } catch {
      this.#response.destroy();
    }
  }

  #tick(): void {
    if (this.#fullSinceMs !== undefined) {
      if (performance.now() - this.#fullSinceMs >= MAX_STALL_MS) this.#response.destroy();
      return;
    }
    const frame = this.#reader.frame();
    if (frame !== undefined) this.#write(frame);
  }

  #write(line: string): void {
    if (!this.#response.write(`${line}\n`)) this.#fullSinceMs = performance.now();
  }
}
