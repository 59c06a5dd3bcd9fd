/** For the tests of services that use the client: time and chance under control, and a real engine to ask. */

export { VirtualClock } from '../core/virtual-clock.js';
export type { Clock, TimerHandle } from '../core/clock.js';
export { createSeededRandom } from '../core/random.js';
export type { Random } from '../core/random.js';
export { startEngine } from '../engine/index.js';
export type { Engine, EngineOptions } from '../engine/index.js';
