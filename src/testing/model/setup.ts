/** What the caller said of a model, held to its rules. */

import { nearestName } from '../../core/nearest.js';
import { ConfigurationError } from '../../errors.js';
import type { ScenarioShape } from './arbitrary.js';
import { boundsOf } from './bounds.js';
import { resolveSimulated, simulatedOptions } from './client.js';
import { COMMAND_NAMES, FAILOVER_FAULTS, type FailoverCommand, type FailoverScenario } from './commands.js';
import { EXPECTATION_NAMES, type FailoverExpectations } from './expectations.js';
import type { FastCheck } from './fast-check.js';
import type { FailoverModelOptions } from './model.js';
import type { SimulationSetup } from './simulation.js';

export const OPTION_NAMES = [
  'addresses',
  'options',
  'faults',
  'faultyServers',
  'expectations',
  'invariant',
  'checkEveryMs',
  'latencyMs',
  'serviceMs',
  'maxCommands',
] as const satisfies (keyof FailoverModelOptions)[];

const MAX_DELAY_MS = 60_000;
const MAX_TIME_MS = 2 ** 31 - 1;
/** The longest wait in a scenario is for failing back and some more, but not for hours. */
const LONG_WAIT_MS = 120_000;
const SHORTEST_LONG_WAIT_MS = 5_000;
/** Half a minute of real time. A run of the defaults takes some 1,300 steps, one of a thousand commands 30,000. */
const MAX_STEPS = 1_000_000;

const FAST_CHECK_NAMES = [
  'integer',
  'constantFrom',
  'tuple',
  'oneof',
  'array',
  'asyncProperty',
  'check',
] as const satisfies (keyof FastCheck)[];

/** @throws ConfigurationError for what is not fast-check: most likely it was forgotten, and the options stand in its place */
export function requireFastCheck(fc: FastCheck): void {
  const functions = fc as unknown as Readonly<Record<string, unknown>> | null | undefined;
  if (FAST_CHECK_NAMES.every((name) => typeof functions?.[name] === 'function')) return;
  throw new ConfigurationError('fc', "must be fast-check, version 3 or 4: `import fc from 'fast-check'`");
}

/** @throws ConfigurationError naming the option and the rule it breaks */
export function prepare(given: FailoverModelOptions): { setup: SimulationSetup; shape: ScenarioShape } {
  requireObject('the options', given);
  refuseUnknown('', given, OPTION_NAMES);
  const { faults = FAILOVER_FAULTS, expectations = {}, invariant, maxCommands = 30 } = given;
  const { checkEveryMs = 100, latencyMs = 1, serviceMs = 4 } = given;
  requireObject('options', given.options ?? {});
  const { address, ...clientOptions } = given.options ?? {};
  const addresses = requireAddresses(given.addresses, address);
  requireWhole('checkEveryMs', checkEveryMs, 0, MAX_TIME_MS);
  requireWhole('latencyMs', latencyMs, 0, MAX_DELAY_MS);
  requireWhole('serviceMs', serviceMs, 0, MAX_DELAY_MS);
  requireWhole('maxCommands', maxCommands, 1, 1_000);
  if (invariant !== undefined && typeof invariant !== 'function')
    throw new ConfigurationError('invariant', 'must be a function');
  requireAllKnown('faults', faults, FAILOVER_FAULTS);
  requireExpectations(expectations);
  const options = simulatedOptions(clientOptions);
  const resolved = resolveSimulated(addresses, options);
  const servers = resolved.levels.flat().map(({ text }) => text);
  const faultyServers = given.faultyServers ?? servers;
  requireAllKnown('faultyServers', faultyServers, servers);
  const bounds = boundsOf(resolved);
  const failbackMs = resolved.levels.length > 1 ? resolved.failover.failbackDelay * 1.2 : 0;
  const longWaitMs = Math.max(SHORTEST_LONG_WAIT_MS, failbackMs, resolved.timeoutMs * 2);
  return {
    setup: {
      addresses,
      options,
      resolved,
      bounds,
      expectations,
      invariant,
      latencyMs,
      serviceMs,
      checkEveryMs: checkEveryMs === 0 ? undefined : checkEveryMs,
      maxSteps: MAX_STEPS,
    },
    shape: {
      servers: faultyServers,
      // With no server to strike, only the client itself is left.
      faults: faultyServers.length > 0 ? faults : faults.filter((fault) => fault === 'stall'),
      maxCommands,
      timeoutMs: resolved.timeoutMs,
      maxWaitMs: Math.min(LONG_WAIT_MS, Math.ceil(longWaitMs)),
    },
  };
}

/** As the client is made: by `createClient`, whose options have the address, or by `createPooledClient`, which is given several. */
function requireAddresses(addresses: readonly string[] | undefined, address: string | undefined): readonly string[] {
  if (addresses === undefined && address !== undefined) return [address];
  if (!Array.isArray(addresses) || addresses.length === 0)
    throw new ConfigurationError(
      'addresses',
      'must be a list of at least one address, where there is no options.address',
    );
  if (address !== undefined) throw new ConfigurationError('addresses', 'must not be given beside options.address');
  return addresses as readonly string[];
}

const ASKING: readonly string[] = ['check', 'batch', 'send'] satisfies FailoverCommand['do'][];
const PASSING: readonly string[] = ['wait', 'stall'] satisfies FailoverCommand['do'][];

/** @throws ConfigurationError for what no failing run of fast-check prints */
export function requirePath({ seed, path }: { readonly seed: number; readonly path: string }): void {
  // Without a seed of its own the path would lead to some scenario, and not to the one that was meant.
  requireWhole('seed', seed, -MAX_TIME_MS - 1, MAX_TIME_MS);
  if (typeof path !== 'string') throw new ConfigurationError('path', 'must be a string');
}

/** @throws ConfigurationError for what is no scenario of this model */
export function requireScenario({ seed, commands }: FailoverScenario, { resolved }: SimulationSetup): void {
  requireWhole('seed', seed, 0, MAX_TIME_MS);
  if (!Array.isArray(commands)) throw new ConfigurationError('commands', 'must be a list of commands');
  const servers = resolved.levels.flat().map(({ text }) => text);
  // It may have been pasted, or read from a file.
  commands.forEach((command: { do: string; count?: number; ms?: number; server?: string; lost?: string }, index) => {
    const path = `commands[${index}]`;
    requireObject(path, command);
    const { do: verb, count = NaN, ms = NaN, server = '', lost = '' } = command;
    requireKnown(`${path}.do`, verb, COMMAND_NAMES);
    if (ASKING.includes(verb)) requireWhole(`${path}.count`, count, 1, 10_000);
    else if (!PASSING.includes(verb)) requireKnown(`${path}.server`, server, servers);
    if (PASSING.includes(verb) || verb === 'slow') requireWhole(`${path}.ms`, ms, 0, MAX_TIME_MS);
    if (verb === 'partition') requireKnown(`${path}.lost`, lost, ['requests', 'answers']);
  });
}

function requireExpectations(expectations: FailoverExpectations): void {
  requireObject('expectations', expectations);
  refuseUnknown('expectations.', expectations, EXPECTATION_NAMES);
  for (const name of EXPECTATION_NAMES) {
    const value = expectations[name];
    if (value === undefined) continue;
    const path = `expectations.${name}`;
    if (name !== 'maxFailedPercent') requireWhole(path, value, 0, MAX_TIME_MS);
    else if (!(value >= 0 && value <= 100)) throw new ConfigurationError(path, `must be 0 to 100, got ${value}`);
  }
}

/** The caller may not have the compiler's help. */
export function requireObject(path: string, given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new ConfigurationError(path, 'must be an object');
}

function requireAllKnown(path: string, given: readonly string[], known: readonly string[]): void {
  if (!Array.isArray(given)) throw new ConfigurationError(path, 'must be a list');
  given.forEach((value: string, index) => requireKnown(`${path}[${index}]`, value, known));
}

function refuseUnknown(prefix: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) throw new ConfigurationError(`${prefix}${name}`, `is unknown${hint(name, known)}`);
  }
}

function requireKnown(path: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  throw new ConfigurationError(
    path,
    `must be one of ${known.join(', ')}; got ${JSON.stringify(value)}${hint(value, known)}`,
  );
}

function hint(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  return near === undefined ? '' : `; did you mean '${near}'?`;
}

function requireWhole(path: string, value: number, minimum: number, maximum: number): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  throw new ConfigurationError(path, `must be a whole number from ${minimum} to ${maximum}, got ${value}`);
}
