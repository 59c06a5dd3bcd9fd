/** A grpc-js server of raw bytes, whose methods show a transport all it must cope with. */

import {
  Metadata,
  Server,
  ServerCredentials,
  status as Status,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js';

import { Changes } from './recorder.js';

const identity = (bytes: Buffer): Buffer => bytes;
const method = (name: string, streaming: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream: streaming,
  responseStream: streaming,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});

export class EchoServer extends Changes {
  /** What happened, in order: `open`, `half-closed`, `cancelled`. */
  readonly events: string[] = [];
  /** The stream calls open at the moment, oldest first. */
  readonly calls: ServerDuplexStream<Buffer, Buffer>[] = [];
  /** The metadata of the last call. */
  metadata: Record<string, unknown> = {};
  /** Milliseconds of the last call's deadline, as it came in. */
  deadlineMs = Infinity;
  /** While set, stream calls do not read: flow control holds the client back. */
  holdReading = false;
  readonly #server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  #port = 0;

  static async listen(
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
    bind = '127.0.0.1:0',
  ): Promise<EchoServer> {
    const server = new EchoServer();
    server.#port = await new Promise<number>((resolve, reject) => {
      server.#server.bindAsync(bind, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    return server;
  }

  private constructor() {
    super();
    this.#server.addService(
      {
        Stream: method('Stream', true),
        Unary: method('Unary', false),
        Fail: method('Fail', false),
        Never: method('Never', false),
        Big: method('Big', false),
      },
      {
        Stream: (call: ServerDuplexStream<Buffer, Buffer>) => {
          this.#stream(call);
        },
        Unary: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
          this.#note(call);
          const trailers = new Metadata();
          for (const [name, value] of Object.entries(call.metadata.getMap())) {
            if (name.startsWith('x-')) trailers.set(name, value);
          }
          if (call.request.toString() === 'fail with trailers') {
            callback({ code: Status.FAILED_PRECONDITION, details: 'naïve: 100 %', metadata: trailers });
          } else callback(null, call.request, trailers);
        },
        Fail: (_call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
          callback({ code: Status.UNAVAILABLE, details: 'not today' });
        },
        Never: (call: ServerUnaryCall<Buffer, Buffer>) => {
          this.#note(call);
          call.on('cancelled', () => {
            this.#add('cancelled');
          });
        },
        Big: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
          callback(null, Buffer.alloc(Number(call.request.toString())));
        },
      },
    );
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  #stream(call: ServerDuplexStream<Buffer, Buffer>): void {
    this.#note(call);
    this.calls.push(call);
    this.#add('open');
    call.on('cancelled', () => {
      this.#add('cancelled');
    });
    call.on('error', () => undefined);
    call.on('end', () => {
      this.#add('half-closed');
      call.end();
    });
    call.on('close', () => {
      this.calls.splice(this.calls.indexOf(call), 1);
      this.changed();
    });
    if (!this.holdReading) this.read(call);
  }

  /** Begins to echo a call that `holdReading` held. */
  read(call: ServerDuplexStream<Buffer, Buffer>): void {
    call.on('data', (bytes: Buffer) => {
      call.write(bytes);
    });
  }

  #note(call: ServerUnaryCall<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>): void {
    this.metadata = call.metadata.getMap();
    const deadline = call.getDeadline();
    this.deadlineMs = deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now();
  }

  #add(event: string): void {
    this.events.push(event);
    this.changed();
  }

  /** Graceful: GOAWAY, and the end when the calls are done. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.tryShutdown(() => {
        resolve();
      });
    });
  }

  close(): void {
    this.#server.forceShutdown();
  }
}
