import { RingBuffer } from '../core/ring-buffer.js';
import type { ClientEventName } from '../events.js';
import type { ClientRuntime } from '../runtime/client-runtime.js';
import type { FlightRecorder } from '../runtime/flight-recorder.js';
import { Sampler } from './sampler.js';
import type { Emitted } from './views.js';

/** Of a second, so that eight frames a second show what is of this second. */
export const TICK_MS = 125;

/** Events held for pages that have not been told of them yet. */
const MAX_EVENTS = 256;

/** Those that come with messages, and not with what becomes of the client: gauges tell of them. And one for each health check asked for. */
const UNTOLD: ReadonlySet<ClientEventName> = new Set([
  'backpressure_start',
  'backpressure_end',
  'message_dropped',
  'health_stream_check',
]);

const watches = new WeakMap<ClientRuntime, Watch>();

/**
 * What is kept of a client while pages look at it: one for all pages of all its inspectors, from the first page to the last. Views of it are
 * made when a page is told.
 */
export class Watch {
  readonly sampler: Sampler;
  readonly recorder: FlightRecorder;
  readonly events = new RingBuffer<Emitted>();
  /** Events so far. */
  emitted = 0;
  readonly #runtime: ClientRuntime;
  readonly #stopRecorder: () => void;
  readonly #ticks = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;

  /** Joins the watch of this client, or begins it. `onTick` is called eight times a second. */
  static join(runtime: ClientRuntime, onTick: () => void): Watch {
    const watch = watches.get(runtime) ?? new Watch(runtime);
    watches.set(runtime, watch);
    watch.#ticks.add(onTick);
    return watch;
  }

  private constructor(runtime: ClientRuntime) {
    this.#runtime = runtime;
    const { recorder, stop } = runtime.lendRecorder();
    this.recorder = recorder;
    this.#stopRecorder = stop;
    this.sampler = new Sampler(runtime);
    const { clock, hub } = runtime.env;
    hub.onlooker = (name, payload) => {
      if (UNTOLD.has(name)) return;
      if (this.events.length >= MAX_EVENTS) this.events.shift();
      this.events.push({ sequence: ++this.emitted, atMs: clock.now(), name, payload });
    };
    // As everything of the client's, it does not keep a process alive.
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** The last to leave ends it: the client is as if nobody had looked. */
  leave(onTick: () => void): void {
    if (!this.#ticks.delete(onTick) || this.#ticks.size > 0) return;
    clearInterval(this.#timer);
    this.#runtime.env.hub.onlooker = undefined;
    this.sampler.stop();
    this.#stopRecorder();
    watches.delete(this.#runtime);
  }

  #tick(): void {
    try {
      this.sampler.sample();
    } catch {
      // Of a timer it would end the process, which is the application's: the gauges stay as they were.
    }
    for (const onTick of [...this.#ticks]) onTick();
  }
}
