import { createHash } from 'node:crypto';
import type { ClientEventName } from '../../events.js';
import type { SimulatedEvent } from '../sim-frames.js';
import type { ObservedCheck } from './observation.js';

type Entry =
  | { readonly kind: 'command' | 'note' | 'trace'; readonly atMs: number; readonly text: string }
  | { readonly kind: 'settled'; readonly atMs: number; readonly check: ObservedCheck };

/** What happened, in order: some of it for people, all of it for the hash. Nothing is written out before somebody asks. */
export class Transcript {
  readonly #entries: Entry[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Somebody did it. */
  command(text: string): void {
    this.#entries.push({ kind: 'command', atMs: this.#now(), text });
  }

  /** It came of that. */
  note(text: string): void {
    this.#entries.push({ kind: 'note', atMs: this.#now(), text });
  }

  settled(check: ObservedCheck): void {
    this.#entries.push({ kind: 'settled', atMs: this.#now(), check });
  }

  /** Of the network: too much for people, but for what becomes of connections. */
  trace({ kind, address, connection, stream, detail, bytes }: SimulatedEvent): void {
    const atMs = this.#now();
    const told =
      kind === 'up'
        ? `connection ${connection} to ${address} is up`
        : kind === 'down'
          ? `connection ${connection} to ${address} ended (${detail})`
          : undefined;
    if (told !== undefined) {
      this.#entries.push({ kind: 'note', atMs, text: told });
      return;
    }
    const size = bytes === undefined ? '' : ` ${bytes.length} bytes`;
    this.#entries.push({ kind: 'trace', atMs, text: `${kind} ${address} ${connection} ${stream} ${detail}${size}` });
  }

  get lines(): string[] {
    const lines: string[] = [];
    // What settles alike, one after the other, is one line.
    let alike: ObservedCheck[] = [];
    const flush = (): void => {
      const [first] = alike;
      if (first !== undefined) lines.push(line(first.settledAtMs ?? 0, '', tellSettled(first, alike)));
      alike = [];
    };
    for (const entry of this.#entries) {
      if (entry.kind === 'trace') continue;
      if (entry.kind === 'settled') {
        if (alike[0] !== undefined && endOf(alike[0]) !== endOf(entry.check)) flush();
        alike.push(entry.check);
        continue;
      }
      flush();
      lines.push(line(entry.atMs, entry.kind === 'command' ? '> ' : '', entry.text));
    }
    flush();
    return lines;
  }

  get hash(): string {
    const hash = createHash('sha256');
    for (const entry of this.#entries) {
      const { kind, atMs } = entry;
      const text = entry.kind === 'settled' ? `${entry.check.number} ${entry.check.outcome}` : entry.text;
      hash.update(`${kind} ${atMs} ${text}\n`);
    }
    return hash.digest('hex');
  }
}

/** What the client itself tells of, as far as it is news. */
export function tellEvent(name: ClientEventName, payload: unknown): string | undefined {
  const { status, address, reason, delayMs } = payload as Readonly<Record<string, string | number | undefined>>;
  switch (name) {
    case 'health_status_change':
      return `${address}: health is ${status}`;
    case 'failover_started':
      return `failover begins: ${reason}`;
    case 'failover_failed':
      return 'failover failed: no server is known to serve';
    case 'failback_scheduled':
      return `${address} is well again: failback in ${delayMs} ms`;
    default:
      return undefined;
  }
}

function line(atMs: number, mark: string, text: string): string {
  return `${(atMs / 1_000).toFixed(3).padStart(9)} s  ${mark}${text}`;
}

const endOf = ({ outcome, error, answeredBy = '' }: ObservedCheck): string =>
  outcome === 'failed' ? `failed: ${error?.name ?? ''}` : `answered by ${answeredBy}`;

function tellSettled(first: ObservedCheck, checks: readonly ObservedCheck[]): string {
  const numbers = ranges(checks.map(({ number }) => number));
  const longestMs = Math.round(
    checks.reduce((longest, { askedAtMs, settledAtMs = 0 }) => Math.max(longest, settledAtMs - askedAtMs), 0),
  );
  const many = checks.length > 1;
  const within = many ? `within ${longestMs} ms` : `after ${longestMs} ms`;
  const why = first.error === undefined ? '' : `: ${first.error.message}`;
  return `check${many ? 's' : ''} ${numbers} ${endOf(first)}, ${within}${why}`;
}

/** `3–7, 9`. */
function ranges(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const found: [number, number][] = [];
  for (const number of sorted) {
    const last = found.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}
