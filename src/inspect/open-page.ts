import type { ServerResponse } from 'node:http';
import type { Hello } from './protocol.js';
import type { Reader, Source } from './source.js';

/**
 * The stream of one page. While the page has not taken what was written, nothing is written: its reader tells later what has become of
 * it. So what waits for a page is never more than one message, and the server lets go of a page that goes on taking nothing.
 */
export class OpenPage {
  readonly #response: ServerResponse;
  readonly #reader: Reader;
  #isFull = false;

  constructor(response: ServerResponse, source: Source) {
    this.#response = response;
    this.#reader = source.open(() => this.#tick());
    response.on('drain', () => (this.#isFull = false));
    response.once('close', () => this.#reader.close());
  }

  begin(controls: Hello['controls']): void {
    this.#response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
    this.#write(this.#reader.hello(controls));
    if (!this.#reader.isEndless) this.#response.end();
  }

  /** Time for a frame. One that cannot be made ends the page, and hurts nobody else. */
  #tick(): void {
    try {
      const frame = this.#isFull ? undefined : this.#reader.frame();
      if (frame !== undefined) this.#write(frame);
    } catch {
      this.#response.destroy();
    }
  }

  #write(line: string | Buffer): void {
    this.#response.write(line);
    this.#isFull = !this.#response.write('\n');
  }
}
