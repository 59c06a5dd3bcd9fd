/** Text that arrives in pieces, cut into lines. */

import { MAX_LINE_LENGTH } from '../protocol.js';

export class LineSplitter {
  readonly #maxLength: number;
  #rest: string[] = [];
  #restLength = 0;

  /** `maxLength` in UTF-16 units. Default 64 Mi. */
  constructor(maxLength = MAX_LINE_LENGTH) {
    this.#maxLength = maxLength;
  }

  /**
   * The lines that this piece completes; empty ones are left out.
   * @throws RangeError for a line that is longer than the limit
   */
  push(piece: string): string[] {
    const pieces = piece.split('\n');
    const last = pieces.pop() ?? '';
    const lines: string[] = [];
    for (const each of pieces) {
      lines.push(this.#rest.join('') + each);
      this.#rest = [];
      this.#restLength = 0;
    }
    this.#rest.push(last);
    this.#restLength += last.length;
    if (this.#restLength > this.#maxLength) throw new RangeError(`a line longer than ${this.#maxLength} characters`);
    return lines.filter((line) => line !== '');
  }
}
