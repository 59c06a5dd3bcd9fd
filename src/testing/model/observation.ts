/** What can be seen of a run, by expectations and afterwards. Times are milliseconds of virtual time since the run began. */

import type { AuthzClient } from '../../client.js';
import type { FailoverCommand, FailoverScenario } from './commands.js';

/** A server as it is, whatever the client knows of it. */
export interface ObservedServer {
  readonly address: string;
  /** Of the failover order; 0 is the primary, or the addresses that share the load. */
  readonly level: number;
  /** What is wrong with it, such as `killed` or `slow`; none: it is well. */
  readonly faults: readonly string[];
  /** It is down, cannot be reached, or says NOT_SERVING: it should carry no traffic. */
  readonly isLost: boolean;
  /** Since when nothing has been wrong with it, a cut connection included; undefined while something is. 0: all the time. */
  readonly wellSinceMs: number | undefined;
}

/** One check, by whatever way it was asked. */
export interface ObservedCheck {
  /** From 1, in the order they were asked. */
  readonly number: number;
  readonly kind: 'check' | 'batch' | 'send';
  readonly askedAtMs: number;
  readonly deadlineAtMs: number;
  readonly settledAtMs: number | undefined;
  readonly outcome: 'pending' | 'allowed' | 'denied' | 'failed';
  readonly error: Error | undefined;
  /** The server whose answer it was given. */
  readonly answeredBy: string | undefined;
  /**
   * Nothing excuses a failure: one server, the same, was well from its asking to its settling, and before that for as long as the client may
   * take to find a server that came back; and the event loop did not stall meanwhile. False while it is pending.
   */
  readonly isCovered: boolean;
}

/** Traffic moved from one level to another. */
export interface RouteMove {
  readonly atMs: number;
  /** Levels; -1: none. */
  readonly from: number;
  readonly to: number;
  /** Each move has a greater one than the move before. */
  readonly epoch: number;
  /** Of the loss that caused it, as the failover controller has it. */
  readonly reason: string;
}

/** A run as it is just now. Its lists are live: they grow. */
export interface FailoverObservation {
  readonly nowMs: number;
  /** The real client. Look, and do not touch. */
  readonly client: AuthzClient;
  /** `client.getState()`. */
  readonly state: string;
  /** The level that carries traffic; -1: none. */
  readonly level: number;
  readonly servers: readonly ObservedServer[];
  readonly checks: readonly ObservedCheck[];
  readonly moves: readonly RouteMove[];
  /** What happened last; undefined at the beginning. */
  readonly command: FailoverCommand | undefined;
  /** Faults have stopped, for good: the end of the run. */
  readonly isHealed: boolean;
}

/** A run that is over. */
export interface FailoverRun {
  readonly scenario: FailoverScenario;
  /** What happened, line by line, for people. */
  readonly transcript: readonly string[];
  /** Of everything that happened, every message on the network included. The same scenario has the same. */
  readonly hash: string;
  readonly checks: readonly ObservedCheck[];
  readonly moves: readonly RouteMove[];
}

/** A run that broke a promise or an expectation. Its message has the transcript, and how to run it again. */
export class FailoverModelError extends Error {
  override readonly name = 'FailoverModelError';
  /** What was broken, in one sentence. */
  readonly violation: string;
  readonly #run: FailoverRun;

  constructor(violation: string, run: FailoverRun, cause?: unknown) {
    super(tell(violation, run), cause === undefined ? undefined : { cause });
    this.violation = violation;
    this.#run = run;
  }

  /** Not a property: test runners print all that an error has, and a run has thousands of lines. */
  getRun(): FailoverRun {
    return this.#run;
  }
}

/** Of a transcript, the last so many. */
const MAX_LINES = 200;

function tell(violation: string, { transcript, scenario }: FailoverRun): string {
  const left = transcript.length - MAX_LINES;
  return [
    violation,
    '',
    ...(left > 0 ? [`(${left} lines before)`] : []),
    ...transcript.slice(-MAX_LINES),
    '',
    `To run it again: await model.replay(${JSON.stringify(scenario)})`,
  ].join('\n');
}
