/** Ids on the wire, as this client keeps them. */

/**
 * A request's id on the wire. A number stands for one of the client's own making, which is its prefix and that number on the wire: to look
 * it up costs neither a string nor its hash.
 */
export type WireId = string | number;

/** The prefix of the ids that one client makes. */
export class OwnIds {
  readonly prefix: string;
  readonly bytes: Uint8Array;

  /** @param prefix ASCII; no other client's. Empty: there are no such ids */
  constructor(prefix: string) {
    this.prefix = prefix;
    this.bytes = Buffer.from(prefix, 'latin1');
  }

  /** The text on the wire. */
  text(wireId: WireId): string {
    return typeof wireId === 'string' ? wireId : this.prefix + String(wireId);
  }
}
