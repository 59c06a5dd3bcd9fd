import type { Clock, TimerHandle } from '../core/clock.js';

export interface PipeOptions<Frame> {
  readonly clock: Clock;
  /** Of the next frame, milliseconds. */
  readonly latencyMs: () => number;
  /** While true nothing arrives: as with lost packets, what was sent is sent again and comes afterwards. */
  readonly isHeld: () => boolean;
  readonly deliver: (frame: Frame) => void;
}

/** One direction of a connection: frames arrive in order, each after its latency, those that are due together in one turn. */
export class SimPipe<Frame> {
  readonly #options: PipeOptions<Frame>;
  #frames: { readonly frame: Frame; readonly arrivesAt: number }[] = [];
  #lastArrivesAt = 0;
  #timer: TimerHandle;
  #isArmed = false;
  #isClosed = false;

  constructor(options: PipeOptions<Frame>) {
    this.#options = options;
  }

  send(frame: Frame): void {
    if (this.#isClosed) return;
    const { clock, latencyMs } = this.#options;
    const arrivesAt = Math.max(clock.now() + latencyMs(), this.#lastArrivesAt);
    this.#lastArrivesAt = arrivesAt;
    this.#frames.push({ frame, arrivesAt });
    this.#arm();
  }

  /** It may be held no longer. */
  wake(): void {
    this.#arm();
  }

  /** What has not arrived never does. */
  close(): void {
    this.#isClosed = true;
    this.#frames = [];
    this.#options.clock.clearTimeout(this.#timer);
  }

  #arm(): void {
    const head = this.#frames[0];
    const { clock, isHeld } = this.#options;
    if (head === undefined || this.#isArmed || this.#isClosed || isHeld()) return;
    this.#isArmed = true;
    this.#timer = clock.setTimeout(
      () => {
        this.#isArmed = false;
        this.#arrive();
        this.#arm();
      },
      Math.max(0, head.arrivesAt - clock.now()),
    );
  }

  #arrive(): void {
    const { clock, isHeld, deliver } = this.#options;
    const now = clock.now();
    // A frame may close or hold the pipe for those behind it.
    while (!isHeld()) {
      const head = this.#frames[0];
      if (head === undefined || head.arrivesAt > now) return;
      this.#frames.shift();
      deliver(head.frame);
    }
  }
}
