/** For the tests of services that use the client: time and chance under control, a network that can be broken, and a real engine to ask. */

export { VirtualClock } from '../core/virtual-clock.js';
export type { Clock, TimerHandle } from '../core/clock.js';
export { createSeededRandom } from '../core/random.js';
export type { Random } from '../core/random.js';
export { startEngine } from '../engine/index.js';
export type { Engine, EngineOptions } from '../engine/index.js';
export { startFaultyEngine } from './faulty-engine.js';
export type { AnswerFault, FaultCount, FaultyEngine } from './faulty-engine.js';
export { explorations, failoverPaths } from './explorations.js';
export type { FailoverPathsOptions } from './explorations.js';
export { shortestPaths, simplePaths, stateOf, statesOf } from './paths.js';
export type { DelayEnd, Exploration, MachinePath, PathStep } from './paths.js';
export { FAILOVER_FAULTS } from './model/commands.js';
export type { FailoverCommand, FailoverFault, FailoverScenario, ServerCommand } from './model/commands.js';
export type { FailoverExpectations } from './model/expectations.js';
export type { FastCheck, FastCheckArbitrary, FastCheckProperty } from './model/fast-check.js';
export { createFailoverModel } from './model/model.js';
export type { FailoverModel, FailoverModelOptions, FailoverTotals } from './model/model.js';
export { FailoverModelError } from './model/observation.js';
export type {
  FailoverObservation,
  FailoverRun,
  ObservedCheck,
  ObservedServer,
  RouteMove,
} from './model/observation.js';
export { SimulatedNetwork } from './sim-network.js';
export type { SimulatedLink, SimulatedNetworkOptions } from './sim-network.js';
export { replyToAll, ServingStatusCode } from './sim-server.js';
export type {
  SimulatedDecision,
  SimulatedHandler,
  SimulatedReply,
  SimulatedRequest,
  SimulatedServer,
} from './sim-server.js';
export type { SimulatedEvent } from './sim-frames.js';
