/** LoadPolicies and ReloadPolicies: for bearers of the admin token only, one at a time, and all or nothing. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { status as grpcStatus } from '@grpc/grpc-js';
import type {
  Metadata,
  sendUnaryData,
  ServerUnaryCall,
  ServiceError,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { MAX_PENDING_LOADS } from './limits.js';
import type { PolicyError } from './policy-document.js';
import type { PolicyLoad, PolicySet } from './policy-set.js';
import { loadInline, loadPath, loadUrl } from './policy-source.js';

interface LoadPoliciesRequest {
  /** Which of the three is set. */
  source?: 'path' | 'url' | 'inline';
  path?: string;
  url?: string;
  inline?: { documents: string[] };
}

interface LoadPoliciesResponse {
  count: number;
  errors: readonly PolicyError[];
}

interface ReloadPoliciesRequest {
  force: boolean;
}

interface ReloadPoliciesResponse {
  success: boolean;
  count: number;
  durationMs: number;
}

/** What the handlers need of the engine. */
export interface ManagementContext {
  policies: PolicySet;
  readonly directory: string;
  readonly adminToken: string | undefined;
  readonly urlAllowList: readonly string[];
}

export function createManagementHandlers(context: ManagementContext): UntypedServiceImplementation {
  const guard = new LoadGuard(context.adminToken);
  return {
    LoadPolicies: (
      call: ServerUnaryCall<LoadPoliciesRequest, LoadPoliciesResponse>,
      callback: sendUnaryData<LoadPoliciesResponse>,
    ) => guard.run(call.metadata, callback, () => loadPolicies(context, call.request)),
    ReloadPolicies: (
      call: ServerUnaryCall<ReloadPoliciesRequest, ReloadPoliciesResponse>,
      callback: sendUnaryData<ReloadPoliciesResponse>,
    ) => guard.run(call.metadata, callback, () => reloadPolicies(context, call.request)),
  };
}

async function loadPolicies(context: ManagementContext, request: LoadPoliciesRequest): Promise<LoadPoliciesResponse> {
  const load = await loadFrom(context, request);
  if (load.ok) context.policies = load.set;
  return { count: context.policies.policyCount, errors: load.ok ? [] : load.errors };
}

async function loadFrom(context: ManagementContext, request: LoadPoliciesRequest): Promise<PolicyLoad> {
  switch (request.source) {
    case 'path':
      return loadPath(context.directory, request.path ?? '');
    case 'url':
      return loadUrl(request.url ?? '', context.urlAllowList);
    case 'inline':
      return loadInline(request.inline?.documents ?? []);
    default:
      throw new StatusError(grpcStatus.INVALID_ARGUMENT, 'source: one of path, url and inline is required');
  }
}

async function reloadPolicies(
  context: ManagementContext,
  request: ReloadPoliciesRequest,
): Promise<ReloadPoliciesResponse> {
  const startMs = performance.now();
  const load = await loadPath(context.directory, '.');
  if (load.ok && (request.force || load.set.fingerprint !== context.policies.fingerprint)) context.policies = load.set;
  return { success: load.ok, count: context.policies.policyCount, durationMs: performance.now() - startMs };
}

class StatusError extends Error implements Partial<ServiceError> {
  readonly code: grpcStatus;
  readonly details: string;

  constructor(code: grpcStatus, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** Lets in who bears the token, and works on one load after another, so that a slow older one never replaces a newer set. */
class LoadGuard {
  readonly #tokenDigest: Buffer | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  constructor(adminToken: string | undefined) {
    this.#tokenDigest = adminToken === undefined ? undefined : digest(adminToken);
  }

  run<Result>(metadata: Metadata, callback: sendUnaryData<Result>, work: () => Promise<Result>): void {
    if (!this.#isAllowed(metadata)) {
      callback(new StatusError(grpcStatus.PERMISSION_DENIED, 'policy management needs the admin token'));
      return;
    }
    if (this.#pending >= MAX_PENDING_LOADS) {
      callback(new StatusError(grpcStatus.RESOURCE_EXHAUSTED, `more than ${MAX_PENDING_LOADS} loads at once`));
      return;
    }
    this.#pending += 1;
    this.#last = this.#last.then(work).then(
      (result) => {
        this.#pending -= 1;
        callback(null, result);
      },
      (error: unknown) => {
        this.#pending -= 1;
        callback(error instanceof StatusError ? error : new StatusError(grpcStatus.INTERNAL, 'the load failed'));
      },
    );
  }

  /** Digests have one length, so that the comparison's time tells nothing of the token, not even how long it is. */
  #isAllowed(metadata: Metadata): boolean {
    if (this.#tokenDigest === undefined) return false;
    const values = metadata.get('authorization');
    const [value] = values;
    if (values.length !== 1 || typeof value !== 'string' || !/^bearer /i.test(value)) return false;
    return timingSafeEqual(digest(value.slice('bearer '.length)), this.#tokenDigest);
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
