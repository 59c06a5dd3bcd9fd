import { DEADLINE_SLACK_MS } from './bounds.js';
import type { Ledger } from './ledger.js';
import { must } from './ledger.js';
import type { ObservedCheck, ObservedServer, RouteMove } from './observation.js';

/** What is expected beyond what the client promises. Each is optional; none is on by default. */
export interface FailoverExpectations {
  /**
   * Of the checks that nothing excuses (`isCovered`: one server was well all the time), how many may fail, in parts of a hundred, judged at the end
   * of each run as if it had asked a hundred at least. 0: none.
   */
  readonly maxFailedPercent?: number;
  /** No check waits longer than this for its answer or its error, milliseconds. Those that waited while the event loop stalled do not count. */
  readonly maxWaitMs?: number;
  /**
   * While a check waits and the level that carries traffic is lost (its servers are down, unreachable, or say NOT_SERVING), and a server of
   * another level has been well for long enough: so long until traffic goes elsewhere, milliseconds.
   */
  readonly maxFailoverMs?: number;
  /** Moves of traffic from one level to another within any sixty seconds. */
  readonly maxMovesPerMinute?: number;
}

export const EXPECTATION_NAMES = [
  'maxFailedPercent',
  'maxWaitMs',
  'maxFailoverMs',
  'maxMovesPerMinute',
] as const satisfies (keyof FailoverExpectations)[];

const MINUTE_MS = 60_000;
const LEAST_CHECKS = 100;

/** What the expectations look at. */
export interface Watched {
  readonly nowMs: number;
  readonly level: number;
  readonly servers: readonly ObservedServer[];
  readonly ledger: Ledger;
  readonly stalledUntilMs: number;
  /** Whether a server has been well since then, and before that for as long as the client may take to find it. */
  readonly isDependable: (server: ObservedServer, sinceMs: number) => boolean;
}

/** Holds one run to the expectations. */
export class ExpectationWatch {
  readonly #expectations: FailoverExpectations;
  readonly #moves: RouteMove[] = [];
  #strandedSinceMs: number | undefined;

  constructor(expectations: FailoverExpectations) {
    this.#expectations = expectations;
  }

  /** At every step. */
  look(watched: Watched): void {
    this.#holdWait(watched);
    this.#holdFailover(watched);
  }

  onSettled(check: ObservedCheck, stalledUntilMs: number): void {
    const { maxWaitMs } = this.#expectations;
    if (maxWaitMs === undefined || check.settledAtMs === undefined || check.askedAtMs < stalledUntilMs) return;
    holdWaited(check, check.settledAtMs, maxWaitMs);
  }

  onMove(move: RouteMove): void {
    const { maxMovesPerMinute } = this.#expectations;
    if (maxMovesPerMinute === undefined || move.to === -1) return;
    this.#moves.push(move);
    const recent = this.#moves.filter(({ atMs }) => atMs > move.atMs - MINUTE_MS);
    must(
      recent.length <= maxMovesPerMinute,
      () =>
        `maxMovesPerMinute: traffic moved ${recent.length} times within a minute, expected are at most ${maxMovesPerMinute} (to level ${recent.map(({ to, atMs }) => `${to} at ${seconds(atMs)}`).join(', ')})`,
    );
  }

  /** When the run is over. */
  onEnd(checks: readonly ObservedCheck[]): void {
    const { maxFailedPercent } = this.#expectations;
    if (maxFailedPercent === undefined) return;
    const covered = checks.filter(({ isCovered }) => isCovered);
    const failed = covered.filter(({ outcome }) => outcome === 'failed');
    const allowed = Math.floor((maxFailedPercent / 100) * Math.max(LEAST_CHECKS, covered.length));
    must(
      failed.length <= allowed,
      () =>
        `maxFailedPercent: ${failed.length} of ${covered.length} checks failed though a server was well all the time, expected are at most ${maxFailedPercent} %: ${tellFailed(failed)}`,
    );
  }

  #holdWait({ nowMs, ledger, stalledUntilMs }: Watched): void {
    const { maxWaitMs } = this.#expectations;
    if (maxWaitMs === undefined) return;
    const [oldest] = ledger.pending;
    if (oldest !== undefined && oldest.askedAtMs >= stalledUntilMs) holdWaited(oldest, nowMs, maxWaitMs);
  }

  #holdFailover({ nowMs, level, servers, ledger, stalledUntilMs, isDependable }: Watched): void {
    const { maxFailoverMs } = this.#expectations;
    if (maxFailoverMs === undefined) return;
    const own = servers.filter((server) => server.level === level);
    const isLost = own.every(({ isLost: isServerLost }) => isServerLost);
    const since = Math.max(this.#strandedSinceMs ?? nowMs, stalledUntilMs);
    const refuge = servers.find((server) => server.level !== level && isDependable(server, since));
    if (!isLost || refuge === undefined || ledger.pending.size === 0) {
      this.#strandedSinceMs = undefined;
      return;
    }
    this.#strandedSinceMs = since;
    must(nowMs - since <= maxFailoverMs, () => {
      const lost = own.map(({ address, faults }) => `${address} is ${faults.join(' and ')}`).join(', ');
      const where = level === -1 ? 'no level carries traffic' : `level ${level} still carries traffic, and ${lost}`;
      return `maxFailoverMs: ${where}; for ${Math.round(nowMs - since)} ms checks have waited though ${refuge.address} is well, expected are at most ${maxFailoverMs} ms`;
    });
  }
}

function holdWaited({ number, askedAtMs, outcome }: ObservedCheck, untilMs: number, maxWaitMs: number): void {
  const waitedMs = untilMs - askedAtMs;
  must(
    waitedMs <= maxWaitMs + DEADLINE_SLACK_MS,
    () =>
      `maxWaitMs: check ${number} ${outcome === 'pending' ? 'has waited' : 'waited'} ${Math.round(waitedMs)} ms, expected are at most ${maxWaitMs} ms`,
  );
}

function tellFailed(failed: readonly ObservedCheck[]): string {
  const [first] = failed;
  const numbers = failed.slice(0, 5).map(({ number }) => number);
  const rest = failed.length - numbers.length;
  return `check ${numbers.join(', ')}${rest > 0 ? ` and ${rest} more` : ''} (${first?.error?.message ?? ''})`;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(3)} s`;
