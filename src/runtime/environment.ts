import type { Codec } from '../codec/codec.js';
import type { OwnIds } from '../codec/wire-id.js';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { ProtocolCounters } from '../data/call.js';
import type { EventHub } from '../events.js';
import type { Redactor } from '../observe/redact.js';
import type { ResolvedOptions } from '../options.js';
import type { Transport } from '../transport/port.js';
import type { FlightRecorder } from './flight-recorder.js';
import type { ProcessHold } from './process-hold.js';

/** What every part of one client shares. */
export interface Environment {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  /** When the client was made, on that clock, milliseconds. */
  readonly startedAtMs: number;
  readonly random: Random;
  /** Of every actor's chance, each deriving its own by its id. */
  readonly seed: number;
  readonly transport: Transport;
  readonly userAgent: string;
  readonly codec: Codec;
  /** The request ids that this client makes. */
  readonly ownIds: OwnIds;
  readonly counters: ProtocolCounters;
  readonly redactor: Redactor;
  readonly hub: EventHub;
  readonly hold: ProcessHold;
  /** Undefined where it is off. */
  readonly flight: FlightRecorder | undefined;
}
