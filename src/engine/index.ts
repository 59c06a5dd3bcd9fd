/** The embedded AuthZ Engine, for development, tests and demos: a real server of `authz.v1`, with policies, and nothing to install. */

export { startEngine } from './server.js';
export type { Engine, EngineStats, StopOptions } from './server.js';
export type { EngineOptions, EngineTlsOptions } from './options.js';
export type { ServingStatus } from './health.js';
export { evaluatePolicies } from './evaluate.js';
export type { EvaluationRequest } from './evaluate.js';
export { compilePolicies } from './policy-set.js';
export type { ActionDecision, PolicyLoad, PolicySet, PolicySourceText } from './policy-set.js';
export type { PolicyError } from './policy-document.js';
export { loadPolicyDirectory } from './policy-source.js';
