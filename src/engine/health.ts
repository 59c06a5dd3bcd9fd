/** grpc.health.v1: Check and Watch over one status, which stands for the whole server and for the authorization service. */

import { status as grpcStatus } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { MAX_HEALTH_WATCHES } from './limits.js';

export type ServingStatus = 'SERVING' | 'NOT_SERVING';

interface HealthCheckRequest {
  service: string;
}

interface HealthCheckResponse {
  status: number;
}

type WatchCall = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

const WIRE_STATUS = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
const SERVICES: ReadonlySet<string> = new Set(['', 'authz.v1.AuthzService']);

export class HealthService {
  #status: ServingStatus;
  #ended = false;
  #isSilent = false;
  /** Checks that came while it was silent. */
  readonly #unanswered = new Set<() => void>();
  /** Each watch, and whether the service it asked for is known. */
  readonly #watches = new Map<WatchCall, boolean>();

  constructor(status: ServingStatus) {
    this.#status = status;
  }

  get implementation(): UntypedServiceImplementation {
    return {
      Check: (
        call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        callback: sendUnaryData<HealthCheckResponse>,
      ) => this.#check(call, callback),
      Watch: (call: WatchCall) => this.#watch(call),
    };
  }

  /** Tells every watch, when it is a change. */
  set(status: ServingStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#tellWatches();
  }

  /** Leaves Checks unanswered and Watches untold, until `speak`. */
  fallSilent(): void {
    this.#isSilent = true;
  }

  speak(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    for (const answer of this.#unanswered) answer();
    this.#unanswered.clear();
    this.#tellWatches();
  }

  /** Ends every watch, now and from now on: an open call would keep the server from closing. */
  endWatches(): void {
    this.#ended = true;
    for (const call of this.#watches.keys()) fail(call, grpcStatus.UNAVAILABLE, 'the engine is stopping');
    this.#watches.clear();
  }

  #check(
    call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
    callback: sendUnaryData<HealthCheckResponse>,
  ): void {
    const answer = (): void => {
      if (SERVICES.has(call.request.service)) callback(null, { status: WIRE_STATUS[this.#status] });
      else callback({ code: grpcStatus.NOT_FOUND, details: 'unknown service' });
    };
    if (!this.#isSilent) {
      answer();
      return;
    }
    this.#unanswered.add(answer);
    call.on('cancelled', () => this.#unanswered.delete(answer));
  }

  #watch(call: WatchCall): void {
    if (this.#watches.size >= MAX_HEALTH_WATCHES) {
      fail(call, grpcStatus.RESOURCE_EXHAUSTED, `more than ${MAX_HEALTH_WATCHES} health watches`);
      return;
    }
    const known = SERVICES.has(call.request.service);
    if (!this.#isSilent) call.write({ status: known ? WIRE_STATUS[this.#status] : WIRE_STATUS.SERVICE_UNKNOWN });
    if (this.#ended) {
      fail(call, grpcStatus.UNAVAILABLE, 'the engine is stopping');
      return;
    }
    this.#watches.set(call, known);
    const forget = (): void => {
      this.#watches.delete(call);
    };
    call.on('cancelled', forget);
    call.on('close', forget);
    call.on('error', forget);
  }

  #tellWatches(): void {
    if (this.#isSilent) return;
    for (const [call, known] of this.#watches) if (known) call.write({ status: WIRE_STATUS[this.#status] });
  }
}

/** The way grpc-js has for ending a streaming call with a status. */
function fail(call: WatchCall, code: number, details: string): void {
  call.emit('error', { code, details });
}
