import { DUMP_FORMAT, DUMP_VERSION, type DumpedActor, type DumpedTransition, type FlightDump } from '../flight.js';
import type { FlightState, Json, JsonObject } from '../flight.js';
import type { Redactor } from '../observe/redact.js';
import { tellOptions } from '../options-told.js';
import { PACKAGE_NAME, VERSION } from '../version.js';
import type { Actors } from './actors.js';
import type { Environment } from './environment.js';
import { copyState, toJsonObject } from './flight-json.js';
import type { Entry } from './flight-recorder.js';

/** As much of an actor's snapshot as is told. XState makes a new one for each transition, so the same one says the same. */
export interface ActorSnapshot {
  readonly value: FlightState;
  readonly context: object;
  readonly status: string;
  readonly machine: { readonly id: string };
  readonly children: Readonly<Record<string, { getSnapshot(): unknown } | undefined>>;
}

/** Everything that is known of a client and is no secret, at this moment. */
export function dump(env: Environment, actors: Actors, stats: JsonObject): FlightDump {
  const { clock, flight, options, startedAtMs } = env;
  const transitions = tellTransitions(env, flight?.entries() ?? []);
  const recorded = flight?.recorded ?? 0;
  return {
    format: DUMP_FORMAT,
    version: DUMP_VERSION,
    package: { name: PACKAGE_NAME, version: VERSION },
    dumpedAt: new Date().toISOString(),
    startedAtMs,
    nowMs: clock.now(),
    options: tellOptions(options),
    stats,
    actors: [...snapshotsOf(actors)].map(([actor, snapshot]) => tellActor(actor, snapshot, env.redactor)),
    recorder: { size: options.flightRecorderSize, recorded, dropped: recorded - transitions.length },
    transitions,
  };
}

/** Of every actor by its id, the root first. */
export function* snapshotsOf({ root }: Actors): Generator<[string, ActorSnapshot]> {
  const own = root.getSnapshot() as unknown as ActorSnapshot;
  yield [root.id, own];
  for (const [id, child] of Object.entries(own.children)) {
    if (child !== undefined) yield [id, child.getSnapshot() as ActorSnapshot];
  }
}

export function tellActor(actor: string, snapshot: ActorSnapshot, redactor: Redactor): DumpedActor {
  return {
    actor,
    machine: snapshot.machine.id,
    status: snapshot.status,
    state: copyState(snapshot.value),
    context: toJsonObject(snapshot.context, redactor),
  };
}

function tellTransitions({ redactor, startedAtMs }: Environment, entries: readonly Entry[]): DumpedTransition[] {
  const known = new Set<string>();
  return entries.map(({ sequence, atMs, actor, machine, event, before, value, context, status }) => {
    const isFirst = before !== undefined && !known.has(actor);
    known.add(actor);
    return {
      sequence,
      atMs,
      sinceStartMs: atMs - startedAtMs,
      actor,
      machine,
      event: { ...toJsonObject(event, redactor), type: event.type },
      from: before === undefined ? null : copyState(before.value),
      to: copyState(value),
      status,
      changes: toJsonObject(changesOf(before?.context ?? {}, context), redactor),
      ...(isFirst ? { context: toJsonObject(before.context, redactor) } : {}),
    };
  });
}

/** Contexts are never changed but replaced, so what is the same is the very same. */
function changesOf(before: object, after: object): Record<string, Json> {
  const old = before as Record<string, unknown>;
  return Object.fromEntries((Object.entries(after) as [string, Json][]).filter(([name, value]) => old[name] !== value));
}
