/** The statecharts of the client, pure: run them, draw them, model-test them. */

export * from './contract.js';
export { deriveSeed, draw, nextBackoff } from './backoff.js';
export type { Backoff, BackoffPolicy, Draw } from './backoff.js';
export { replay, ReplayError } from './replay.js';
export type { ActorReplay, Divergence, ReplayActor, ReplayOutcome, ReplayState, ReplayTransition } from './replay.js';
export { clientMachine } from './client.js';
export type { ClientContext } from './client.js';
export { connectionMachine } from './connection.js';
export type { ConnectionContext } from './connection.js';
export { endpointMachine } from './endpoint.js';
export type { EndpointContext } from './endpoint.js';
export { failoverMachine } from './failover.js';
export type { FailoverContext, LevelStatus } from './failover.js';
export { streamMachine } from './stream.js';
export type { StreamContext } from './stream.js';
