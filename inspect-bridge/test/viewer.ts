/** A viewer: the receiver of @xstate/inspect, which is what xstate-viz looks through, over a WebSocket whose every byte is kept. */

import { createWebSocketReceiver, type ParsedReceiverEvent } from '@xstate/inspect';
import { vi } from 'vitest';
import { WebSocket } from 'ws';
import { Changes } from '../../test/support/recorder.js';

type Registered = Extract<ParsedReceiverEvent, { type: 'service.register' }>;
type Told = Extract<ParsedReceiverEvent, { type: 'service.state' }>;

export class Viewer extends Changes {
  readonly events: ParsedReceiverEvent[] = [];
  readonly frames: Buffer[] = [];
  readonly socket: WebSocket;

  /** @param server as the bridge names it, and the viewer's `?server=` takes it */
  constructor(server: string) {
    super();
    let socket: WebSocket | undefined;
    // The receiver is a browser's, and makes its WebSocket itself.
    vi.stubGlobal(
      'WebSocket',
      class extends WebSocket {
        constructor(url: string) {
          super(url);
          // eslint-disable-next-line @typescript-eslint/no-this-alias -- nobody else hands it out
          socket = this;
        }
      },
    );
    const [, host = ''] = server.split('://');
    const receiver = createWebSocketReceiver({ server: host, serialize: undefined });
    vi.unstubAllGlobals();
    if (socket === undefined) throw new Error('the receiver has made no WebSocket');
    this.socket = socket;
    socket.on('message', (data: Buffer) => this.frames.push(data));
    for (const event of ['open', 'close']) socket.on(event, () => this.changed());
    receiver.subscribe((event) => {
      this.events.push(event);
      this.changed();
    });
  }

  get registered(): Registered[] {
    return this.events.filter((event) => event.type === 'service.register');
  }

  get states(): Told[] {
    return this.events.filter((event) => event.type === 'service.state');
  }

  get stopped(): string[] {
    return this.events.filter((event) => event.type === 'service.stop').map(({ sessionId }) => sessionId);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.frames);
  }

  opened(): Promise<void> {
    return this.until(() => this.socket.readyState === WebSocket.OPEN, 'the viewer to connect');
  }

  close(): Promise<void> {
    this.socket.terminate();
    return this.closed();
  }

  closed(): Promise<void> {
    return this.until(() => this.socket.readyState === WebSocket.CLOSED, 'the viewer to be disconnected');
  }
}
