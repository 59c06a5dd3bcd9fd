/** Invariant 11, as things happen: how often the client dials and probes, and how many retries it pays for. */

import { must } from './ledger.js';

/** Of one connection: redials at once, then after 50 ms and more, each backoff up to twice the one before; and one that stood for 100 ms starts anew. */
const DIALS_PER_SECOND = 24;
/** Suspects are probed every 250 ms, silent connections at least 300 ms apart, and there is the periodic look. */
const PROBES_PER_SECOND = 14;
const WINDOW_MS = 1_000;

/** How often something happened to one address within the last second. */
class Pace {
  readonly #times = new Map<string, number[]>();

  note(address: string, at: number): number {
    const recent = (this.#times.get(address) ?? []).filter((time) => time > at - WINDOW_MS);
    recent.push(at);
    this.#times.set(address, recent);
    return recent.length;
  }
}

export class Budgets {
  readonly #connections: number;
  readonly #startedAt: number;
  readonly #dials = new Pace();
  readonly #probes = new Pace();
  /** Each may cost every connection another dial and another probe. */
  #faults = 0;
  /** Probes that the application asked for. */
  #asked = 0;
  #checks = 0;
  #paid = 0;

  constructor(maxConnections: number, startedAt: number) {
    this.#connections = maxConnections;
    this.#startedAt = startedAt;
  }

  onFault(): void {
    this.#faults++;
  }

  onProbeAsked(): void {
    this.#asked++;
  }

  onCheck(): void {
    this.#checks++;
  }

  onDial(address: string, at: number): void {
    const count = this.#dials.note(address, at);
    const allowed = this.#connections * (DIALS_PER_SECOND + this.#faults);
    must(count <= allowed, () => `invariant 11: ${count} dials to ${address} within a second, allowed are ${allowed}`);
  }

  /** A health check, or an HTTP/2 PING. */
  onProbe(address: string, at: number): void {
    const count = this.#probes.note(address, at);
    const allowed = this.#connections * (PROBES_PER_SECOND + this.#faults) + this.#asked;
    must(count <= allowed, () => `invariant 11: ${count} probes of ${address} within a second, allowed are ${allowed}`);
  }

  /** A message was sent again, and that was no first move of what was lost. */
  onPaid(at: number): void {
    this.#paid++;
    const budget = 0.2 * this.#checks + (10 * (at - this.#startedAt)) / 1_000 + 10;
    must(this.#paid <= budget, () => `invariant 11: ${this.#paid} retries were paid for, the budget is ${budget}`);
  }
}
