/** What may happen in a run: plain data, so that it can be shrunk, printed, and pasted into a test. */

/** What may go wrong. */
export type FailoverFault =
  /** A server's process is killed (SIGKILL), and restarted later. */
  | 'kill'
  /** Its process stands still (SIGSTOP): dials are accepted, nobody answers. Thawed later, it answers what came meanwhile. */
  | 'freeze'
  /** Its connections are reset; it goes on. */
  | 'cut'
  /** It asks its clients to go (GOAWAY), as before a deployment; what it has it answers. */
  | 'drain'
  /** Nothing arrives, either way. */
  | 'blackhole'
  /** Nothing arrives, one way. */
  | 'partition'
  /** Its health says NOT_SERVING; it answers checks all the same. */
  | 'notServing'
  /** Its answers take long. */
  | 'slow'
  /** Its health is well, and no check is answered. */
  | 'swallow'
  /** Its health is well, and every check is answered UNAVAILABLE. */
  | 'refuse'
  /** The client's own event loop stands still. */
  | 'stall';

export const FAILOVER_FAULTS: readonly FailoverFault[] = Object.freeze([
  'kill',
  'freeze',
  'cut',
  'drain',
  'blackhole',
  'partition',
  'notServing',
  'slow',
  'swallow',
  'refuse',
  'stall',
]);

/** Of a server, by its address. `heal`: everything of it is well again, its network too. */
export type ServerCommand =
  | {
      readonly do:
        | 'kill'
        | 'restart'
        | 'freeze'
        | 'thaw'
        | 'cut'
        | 'drain'
        | 'blackhole'
        | 'notServing'
        | 'swallow'
        | 'refuse'
        | 'heal';
      readonly server: string;
    }
  /** `lost`: what does not arrive. */
  | { readonly do: 'partition'; readonly server: string; readonly lost: 'requests' | 'answers' }
  | { readonly do: 'slow'; readonly server: string; readonly ms: number };

/** One thing that happens. Between two, no time passes but by `wait` and `stall`. */
export type FailoverCommand =
  /** `check` asks so many at once, `batch` so many in one `checkBatch`, `send` on a stream handle. */
  | { readonly do: 'check' | 'batch' | 'send'; readonly count: number }
  /** Time passes. `stall`: and the client does not notice. */
  | { readonly do: 'wait' | 'stall'; readonly ms: number }
  | ServerCommand;

/** A whole run. The same scenario is the same run. */
export interface FailoverScenario {
  /** Of all chance: latencies, decisions, the client's jitter. */
  readonly seed: number;
  readonly commands: readonly FailoverCommand[];
}

/** Every {@link FailoverCommand}. */
export const COMMAND_NAMES: readonly string[] = Object.keys({
  check: true,
  batch: true,
  send: true,
  wait: true,
  stall: true,
  kill: true,
  restart: true,
  freeze: true,
  thaw: true,
  cut: true,
  drain: true,
  blackhole: true,
  partition: true,
  notServing: true,
  slow: true,
  swallow: true,
  refuse: true,
  heal: true,
} satisfies Record<FailoverCommand['do'], true>);

/** `kill engine-a:50051`, as transcripts have it. */
export function tellCommand(command: FailoverCommand): string {
  switch (command.do) {
    case 'wait':
      return `wait ${command.ms} ms`;
    case 'stall':
      return `the event loop stalls for ${command.ms} ms`;
    case 'check':
      return `check ${command.count}`;
    case 'batch':
      return `a batch of ${command.count}`;
    case 'send':
      return `send ${command.count} on a stream`;
    case 'partition':
      return `partition ${command.server}: its ${command.lost} are lost`;
    case 'slow':
      return `slow ${command.server}: each answer takes ${command.ms} ms`;
    default:
      return `${command.do} ${command.server}`;
  }
}
