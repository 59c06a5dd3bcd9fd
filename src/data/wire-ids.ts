import type { OwnIds, WireId } from '../codec/wire-id.js';
import { RenewedMap } from '../core/renewed-map.js';

/** Ids used on the wire that are kept from being used again: at least so many, at most twice that. */
const LINGERING_IDS = 8_192;

/**
 * The ids under which requests go out: the request's own, or with a suffix where an answer to that may still come for another request.
 * Ids made here are never used twice, and so need no entry.
 */
export class WireIds {
  readonly #own: OwnIds;
  readonly #inUse = new RenewedMap<string, true>();
  /** A late or repeated answer to them may still come, and must not find the next request of the same id. */
  #lingering = new Set<string>();
  #lingeringBefore: ReadonlySet<string> = new Set();
  #made = 0;
  #suffix = 0;

  constructor(own: OwnIds) {
    this.#own = own;
  }

  /** The number of an id that was not used before. */
  make(): number {
    this.#made++;
    return this.#made;
  }

  /** Takes an id into use, until it is released. */
  take(requestId: string): string {
    const wireId = this.#isSpoken(requestId) || this.#lingers(requestId) ? this.#suffixed(requestId) : requestId;
    this.#inUse.set(wireId, true);
    return wireId;
  }

  /** The same for a call of its own, which a late answer to another cannot cross. */
  takeAlone(requestId: string): string {
    const wireId = this.#isSpoken(requestId) ? this.#suffixed(requestId) : requestId;
    this.#inUse.set(wireId, true);
    return wireId;
  }

  /** Takes one into use again that was released just now. */
  retake(wireId: WireId): void {
    if (typeof wireId === 'string') this.#inUse.set(wireId, true);
  }

  /** @param lingers an answer to it may still come */
  release(wireId: WireId, lingers: boolean): void {
    if (typeof wireId === 'string' && this.#inUse.delete(wireId) && lingers) this.#linger(wireId);
  }

  /** In use, or made here: whoever sends us one of our own ids has it from an answer, and another may still come. */
  #isSpoken(wireId: string): boolean {
    return this.#inUse.has(wireId) || wireId.startsWith(this.#own.prefix);
  }

  #lingers(wireId: string): boolean {
    return this.#lingering.has(wireId) || this.#lingeringBefore.has(wireId);
  }

  #suffixed(requestId: string): string {
    let wireId: string;
    do {
      this.#suffix++;
      wireId = `${requestId}#${this.#suffix}`;
    } while (this.#inUse.has(wireId) || this.#lingers(wireId));
    return wireId;
  }

  #linger(wireId: string): void {
    // Two generations, the older dropped whole: taking the oldest out of one large set, again and again, costs more than a check does.
    if (this.#lingering.size >= LINGERING_IDS) {
      this.#lingeringBefore = this.#lingering;
      this.#lingering = new Set();
    }
    this.#lingering.add(wireId);
  }
}
