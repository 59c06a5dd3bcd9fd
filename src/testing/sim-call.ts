import { type FramedMessage, messageIn } from '../core/framed-message.js';
import { RstCode, statusFromRst, answeredStatus, cancelledStatus } from '../transport/status.js';
import type { StreamListener, WireStatus, WriteResult } from '../transport/port.js';
import type { AbortableStream } from '../transport/unary.js';
import { GrpcCode } from '../errors.js';
import type { ClientFrame, ServerFrame, SimulatedEvent } from './sim-frames.js';

/** What a call needs of the connection it is on. */
export interface CallHost {
  now(): number;
  /** Messages written and not yet read by the server, past which a call takes no more. */
  window(): number;
  send(frame: ClientFrame): void;
  /** Runs `fn` in the next phase of the loop. */
  later(fn: () => void): void;
  tell(event: Pick<SimulatedEvent, 'kind' | 'stream' | 'detail' | 'bytes' | 'note'>): void;
  onEnded(call: SimulatedCall): void;
}

/** What lies before and after a message. */
const PADDING = 5;

/** The client's end of one call: the same promises as any transport's (see the port), kept over simulated frames. */
export class SimulatedCall implements AbortableStream {
  /** Its HTTP/2 id, or 0 where there will be none. */
  readonly stream: number;
  readonly path: string;
  readonly #listener: StreamListener;
  readonly #host: CallHost;
  readonly #deadlineAt: number;
  /** `ending`: this side ended it, and the status is on its way to the listener. */
  #state: 'open' | 'ending' | 'ended' = 'open';
  /** What it would have sent, had it a stream. */
  #early: ClientFrame[] = [];
  #isStarted = false;
  /** Half-closed. */
  #isDone = false;
  #isCancelled = false;
  #unread = 0;
  #isBlocked = false;
  #hasHeaders = false;
  #isPaused = false;
  #isYielding = false;
  #isDelivering = false;
  #inbox: { readonly bytes: Uint8Array; readonly note: unknown }[] = [];
  /** OK, which waits behind messages that wait for `resume`. */
  #held: WireStatus | undefined;

  constructor(stream: number, path: string, listener: StreamListener, host: CallHost, deadlineAt: number) {
    this.stream = stream;
    this.path = path;
    this.#listener = listener;
    this.#host = host;
    this.#deadlineAt = deadlineAt;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** The peer allows it a stream. */
  start(): void {
    this.#isStarted = true;
    for (const frame of this.#early.splice(0)) this.#host.send(frame);
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.#isOver) this.#host.tell({ kind: 'misuse', stream: this.stream, detail: 'write on a call that is over' });
    if (this.#state !== 'open' || this.#isDone) return 'closed';
    if (this.#unread > 0 && this.#unread >= this.#host.window()) {
      this.#isBlocked = true;
      this.#host.tell({ kind: 'full', stream: this.stream, detail: this.path });
      return 'full';
    }
    this.#unread++;
    this.#host.tell({ kind: 'write', stream: this.stream, detail: this.path, bytes });
    this.#send({ kind: 'data', stream: this.stream, bytes });
    return 'accepted';
  }

  writeFramed(message: FramedMessage): WriteResult {
    return this.write(messageIn(message));
  }

  end(): void {
    if (this.#state !== 'open' || this.#isDone) return;
    this.#isDone = true;
    this.#send({ kind: 'end', stream: this.stream });
  }

  cancel(): void {
    this.#isCancelled = true;
    this.abort(cancelledStatus());
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#host.later(() => this.#readOn());
  }

  yieldTurn(): void {
    if (this.#isYielding) return;
    this.#isYielding = true;
    this.#host.later(() => {
      this.#isYielding = false;
      this.#deliver();
      this.#finishHeld();
    });
  }

  abort(status: WireStatus): void {
    if (this.#state !== 'open') return;
    this.#state = 'ending';
    if (this.#isStarted) this.#host.send({ kind: 'reset', stream: this.stream });
    const final: WireStatus = this.#isStarted ? status : { ...status, outcome: 'notSent' };
    queueMicrotask(() => this.#end(final));
  }

  /** The connection is gone, or does not take the call: it ends with this status, unless it has ended. */
  lose(status: WireStatus): void {
    this.#catchUp();
    if (this.#state === 'open') this.#end(status);
  }

  receive(frame: ServerFrame): void {
    if (this.#state !== 'open') return;
    switch (frame.kind) {
      case 'headers':
        this.#hasHeaders = true;
        break;
      case 'data':
        this.#hasHeaders = true;
        this.#inbox.push(frame);
        this.#deliver();
        break;
      case 'window':
        this.#onWindow(frame.messages);
        break;
      case 'trailers':
        this.#catchUp();
        this.#finish(answeredStatus(frame.code, frame.message, {}));
        break;
      case 'reset': {
        this.#catchUp();
        const context = { headersReceived: this.#hasHeaders, deadlinePassed: this.#host.now() >= this.#deadlineAt };
        if (this.isOpen) this.#end(statusFromRst(frame.code, context));
        break;
      }
      default:
    }
  }

  /** The server's GOAWAY says that it did not, and will not, process the call. */
  refuse(reason: string): void {
    const message = `the server ends the connection and did not process the call (${reason})`;
    const context = { headersReceived: this.#hasHeaders, deadlinePassed: false };
    this.lose({ ...statusFromRst(RstCode.REFUSED_STREAM, context), message });
  }

  /** As its owner knows: it was told, or did it itself. */
  get #isOver(): boolean {
    return this.#state === 'ended' || this.#isDone || this.#isCancelled;
  }

  #send(frame: ClientFrame): void {
    if (this.#isStarted) this.#host.send(frame);
    else this.#early.push(frame);
  }

  #onWindow(messages: number): void {
    this.#unread -= messages;
    if (!this.#isBlocked || this.#unread * 2 > this.#host.window()) return;
    this.#isBlocked = false;
    this.#listener.onDrain();
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (!this.#isPaused && !this.#isYielding && this.#state === 'open') {
        const message = this.#inbox.shift();
        if (message === undefined) break;
        const { bytes, note } = message;
        this.#host.tell({ kind: 'receive', stream: this.stream, detail: this.path, bytes, note });
        // Messages lie in the middle of what was read from a socket.
        const chunk = new Uint8Array(bytes.length + 2 * PADDING);
        chunk.set(bytes, PADDING);
        this.#listener.onMessage(chunk, PADDING, PADDING + bytes.length, this.#host.now());
      }
    } finally {
      this.#isDelivering = false;
    }
  }

  /** What waited for the next phase is delivered, at the latest before the call's end is. */
  #catchUp(): void {
    if (!this.#isYielding) return;
    this.#isYielding = false;
    this.#deliver();
  }

  #readOn(): void {
    if (this.#isPaused || this.#state !== 'open') return;
    this.#deliver();
    this.#finishHeld();
  }

  #finishHeld(): void {
    if (this.#held !== undefined && this.#inbox.length === 0 && this.#state === 'open') this.#end(this.#held);
  }

  #finish(status: WireStatus): void {
    if (this.#state !== 'open') return;
    if (status.code === GrpcCode.OK && this.#inbox.length > 0) this.#held = status;
    else this.#end(status);
  }

  #end(status: WireStatus): void {
    this.#state = 'ended';
    this.#inbox = [];
    this.#host.onEnded(this);
    this.#host.tell({ kind: 'status', stream: this.stream, detail: `${status.code} ${status.outcome}` });
    this.#listener.onStatus(status);
  }
}
