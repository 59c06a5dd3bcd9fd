/** The three check rpcs. The path of a check is kept short: bytes, decode, evaluate, encode, bytes. */

import { status as grpcStatus } from '@grpc/grpc-js';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceError,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { evaluatePolicies } from './evaluate.js';
import { MAX_ACTIONS, MAX_BATCH_REQUESTS, MAX_DELAYED_ANSWERS } from './limits.js';
import type { Pace } from './pace.js';
import type { ActionDecision, PolicySet } from './policy-set.js';
import { decodeCheckBatchRequest, decodeCheckRequest, encodeCheckBatchResponse, encodeCheckResponse } from './wire.js';
import type { WireCheckRequest, WireCheckResponse } from './wire.js';

type RawUnaryCall = ServerUnaryCall<Uint8Array, Uint8Array>;
type RawCallback = sendUnaryData<Uint8Array>;
type RawStream = ServerDuplexStream<Uint8Array, Uint8Array>;

export interface CheckCounters {
  checks: number;
  streams: number;
}

/** What an engine does wrong with checks, where a test wants it to. */
export interface CheckFaults {
  /** The status that ends the call instead of an answer; undefined: none. Asked once for each unary call and each message of a stream. */
  failure(): Partial<ServiceError> | undefined;
  /** What is sent in place of the answer: nothing, something else, or several. */
  alter(response: WireCheckResponse): readonly WireCheckResponse[];
}

/** What the handlers need of the engine. `policies` is read anew for each check, so a reload counts at once. */
export interface CheckContext {
  policies: PolicySet;
  readonly pace: Pace;
  readonly stats: CheckCounters;
  readonly faults: CheckFaults | undefined;
}

const NO_RESULTS: ReadonlyMap<string, ActionDecision> = new Map();

export function createCheckHandlers(context: CheckContext): UntypedServiceImplementation {
  return {
    Check: (call: RawUnaryCall, callback: RawCallback) => handleCheck(context, call, callback),
    CheckBatch: (call: RawUnaryCall, callback: RawCallback) => handleCheckBatch(context, call, callback),
    CheckStream: (call: RawStream) => new CheckStreamHandler(context, call),
  };
}

/** What is wrong with a request, if anything. */
function findFault(request: WireCheckRequest): string | undefined {
  if (request.principal === undefined || request.principal.id === '') return 'principal: id is required';
  if (request.resource === undefined || request.resource.kind === '') return 'resource: kind is required';
  if (request.actions.length === 0) return 'actions: at least one is required';
  if (request.actions.length > MAX_ACTIONS) return `actions: more than ${MAX_ACTIONS}`;
  return undefined;
}

/** A faulty request has no results: the caller sees that none of its actions was decided. */
function answer(context: CheckContext, request: WireCheckRequest): WireCheckResponse {
  context.stats.checks += 1;
  const { principal, resource, actions } = request;
  if (principal === undefined || resource === undefined || findFault(request) !== undefined) {
    return { requestId: request.requestId, results: NO_RESULTS };
  }
  const question = { principal, resource, actions, context: request.context };
  if (!request.includeMetadata) {
    return { requestId: request.requestId, results: evaluatePolicies(context.policies, question) };
  }
  const startMs = performance.now();
  const results = evaluatePolicies(context.policies, question);
  const matchedPolicies = new Set<string>();
  for (const decision of results.values()) if (decision.matched) matchedPolicies.add(decision.policy);
  return {
    requestId: request.requestId,
    results,
    metadata: {
      evaluationDurationUs: (performance.now() - startMs) * 1000,
      policiesEvaluated: context.policies.rulesFor(resource.kind).policyCount,
      matchedPolicies,
    },
  };
}

/** What is sent for a request: its answer, unless faults have it otherwise. */
function answersTo(context: CheckContext, request: WireCheckRequest): readonly WireCheckResponse[] {
  const response = answer(context, request);
  return context.faults === undefined ? [response] : context.faults.alter(response);
}

function handleCheck(context: CheckContext, call: RawUnaryCall, callback: RawCallback): void {
  let request: WireCheckRequest;
  try {
    request = decodeCheckRequest(call.request);
  } catch {
    callback(invalidArgument('the message is not a CheckRequest'));
    return;
  }
  const fault = findFault(request);
  if (fault !== undefined) {
    callback(invalidArgument(fault));
    return;
  }
  const failure = context.faults?.failure();
  if (failure !== undefined) {
    answerLater(context, call, () => callback(failure));
    return;
  }
  // A unary call has one answer at most; without one it stays open until its caller gives up.
  const [response] = answersTo(context, request);
  if (response === undefined) return;
  const bytes = encodeCheckResponse(response);
  answerLater(context, call, () => callback(null, bytes));
}

function handleCheckBatch(context: CheckContext, call: RawUnaryCall, callback: RawCallback): void {
  let requests: WireCheckRequest[];
  try {
    requests = decodeCheckBatchRequest(call.request);
  } catch {
    callback(invalidArgument('the message is not a CheckBatchRequest'));
    return;
  }
  if (requests.length > MAX_BATCH_REQUESTS) {
    callback({ code: grpcStatus.RESOURCE_EXHAUSTED, details: `more than ${MAX_BATCH_REQUESTS} requests in one batch` });
    return;
  }
  const failure = context.faults?.failure();
  if (failure !== undefined) {
    answerLater(context, call, () => callback(failure));
    return;
  }
  const startMs = performance.now();
  const responses = requests.flatMap((request) => answersTo(context, request));
  const bytes = encodeCheckBatchResponse(responses, (performance.now() - startMs) * 1000);
  answerLater(context, call, () => callback(null, bytes));
}

function invalidArgument(details: string): Partial<ServiceError> {
  return { code: grpcStatus.INVALID_ARGUMENT, details };
}

function answerLater(context: CheckContext, call: RawUnaryCall, send: () => void): void {
  if (context.pace.isImmediate) {
    send();
    return;
  }
  call.on('cancelled', context.pace.schedule(send));
}

/** One CheckStream call: answers each request as soon as it is ready, and ends when the client has and nothing is owed. */
class CheckStreamHandler {
  readonly #context: CheckContext;
  readonly #call: RawStream;
  /** What forgets each answer that has not left. */
  readonly #delayed = new Set<() => void>();
  #halfClosed = false;
  #finished = false;
  #writable = true;

  constructor(context: CheckContext, call: RawStream) {
    this.#context = context;
    this.#call = call;
    context.stats.streams += 1;
    call.on('data', (bytes: Uint8Array) => this.#receive(bytes));
    call.on('drain', () => {
      this.#writable = true;
      this.#resume();
    });
    call.on('end', () => {
      this.#halfClosed = true;
      this.#endWhenAnswered();
    });
    call.on('cancelled', () => this.#finish());
    call.on('close', () => this.#finish());
    call.on('error', () => this.#finish());
  }

  #receive(bytes: Uint8Array): void {
    if (this.#finished) return;
    let request: WireCheckRequest;
    try {
      request = decodeCheckRequest(bytes);
    } catch {
      // It cannot be told whose request this was, so the call ends rather than leave one unanswered.
      this.#call.emit('error', invalidArgument('a message is not a CheckRequest'));
      return;
    }
    const failure = this.#context.faults?.failure();
    if (failure !== undefined) {
      this.#whenDue(() => this.#call.emit('error', failure));
      return;
    }
    for (const response of answersTo(this.#context, request)) {
      const responseBytes = encodeCheckResponse(response);
      this.#whenDue(() => this.#send(responseBytes));
    }
  }

  #whenDue(send: () => void): void {
    const { pace } = this.#context;
    if (pace.isImmediate) send();
    else this.#sendLater(pace, send);
  }

  #sendLater(pace: Pace, send: () => void): void {
    const forget = pace.schedule(() => {
      this.#delayed.delete(forget);
      send();
      this.#resume();
      this.#endWhenAnswered();
    });
    this.#delayed.add(forget);
    if (this.#delayed.size >= MAX_DELAYED_ANSWERS) this.#call.pause();
  }

  /** A client that does not read its answers is not read either: HTTP/2 flow control then holds it back. */
  #send(bytes: Uint8Array): void {
    if (this.#call.write(bytes)) return;
    this.#writable = false;
    this.#call.pause();
  }

  #resume(): void {
    if (this.#writable && this.#delayed.size < MAX_DELAYED_ANSWERS && this.#call.isPaused()) this.#call.resume();
  }

  #endWhenAnswered(): void {
    if (this.#halfClosed && !this.#finished && this.#delayed.size === 0) this.#call.end();
  }

  /** However the call ended; more than one of the events may say so. */
  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#context.stats.streams -= 1;
    for (const forget of this.#delayed) forget();
    this.#delayed.clear();
  }
}
