import {
  clientMachine,
  connectionMachine,
  endpointMachine,
  failoverMachine,
  streamMachine,
  type ConnectionContext,
  type EndpointContext,
  type StreamContext,
} from '../../machines/index.js';
import type { EffectScope } from './actors.js';
import type { CheckStream } from './check-stream.js';
import type { PoolConnection } from './pool-connection.js';
import type { Route } from './route.js';
import type { ServedEndpoint } from './served-endpoint.js';

/** Whose effects the statecharts run. */
export interface Effects {
  readonly route: Route;
  connection(id: string): PoolConnection;
  stream(id: string): CheckStream;
  endpoint(id: string): ServedEndpoint;
  readonly scope: EffectScope;
  start(): void;
  drain(): void;
  teardown(): void;
  onState(): void;
}

/** Provides the statecharts' actions. Once per client: a machine provided per actor would cost each stream a copy of the chart. */
export function wire(effects: Effects) {
  const total =
    <Args>(effect: (args: Args) => void) =>
    (args: Args): void =>
      effects.scope.run(() => effect(args));
  const onConnection = (effect: (connection: PoolConnection, context: ConnectionContext) => void) =>
    total(({ context }: { context: ConnectionContext }) => effect(effects.connection(context.id), context));
  const onStream = (effect: (stream: CheckStream, context: StreamContext) => void) =>
    total(({ context }: { context: StreamContext }) => effect(effects.stream(context.id), context));
  const onEndpoint = (effect: (endpoint: ServedEndpoint, context: EndpointContext) => void) =>
    total(({ context }: { context: EndpointContext }) => effect(effects.endpoint(context.id), context));
  const { route } = effects;

  return clientMachine.provide({
    actions: {
      start: total(() => effects.start()),
      drain: total(() => effects.drain()),
      teardown: total(() => effects.teardown()),
      reportState: total(() => effects.onState()),
    },
    actors: {
      connection: connectionMachine.provide({
        actions: {
          dial: onConnection((connection) => connection.dial()),
          admit: onConnection((connection) => connection.admit()),
          withdraw: onConnection((connection) => connection.withdraw()),
          probe: onConnection((connection) => connection.probe()),
          drainCalls: onConnection((connection) => connection.drainCalls()),
          destroyTransport: onConnection((connection) => connection.destroyTransport()),
          reportOpened: onConnection((connection) => connection.reportOpened()),
          reportLost: onConnection((connection, context) => connection.reportLost(context)),
          reportDialFailed: onConnection((connection, context) => connection.reportDialFailed(context)),
          reportDraining: onConnection((connection, context) => connection.reportDraining(context)),
          reportClosed: onConnection((connection, context) => connection.reportClosed(context)),
        },
      }),
      stream: streamMachine.provide({
        actions: {
          noteIdle: onStream((stream) => stream.noteIdle()),
          openCall: onStream((stream, context) => stream.openCall(context)),
          retireCall: onStream((stream) => stream.retireCall()),
          releaseCall: onStream((stream) => stream.releaseCall()),
          allowWrites: onStream((stream) => stream.allowWrites()),
          haltWrites: onStream((stream) => stream.haltWrites()),
          applyPauses: onStream((stream, context) => stream.applyPauses(context)),
          drain: onStream((stream) => stream.drain()),
          reportReconnecting: onStream((stream, context) => stream.reportReconnecting(context)),
          reportReconnected: onStream((stream, context) => stream.reportReconnected(context)),
          reportClosed: onStream((stream, context) => stream.reportClosed(context)),
        },
      }),
      endpoint: endpointMachine.provide({
        actions: {
          check: onEndpoint((endpoint, context) => endpoint.probe(context, true)),
          probe: onEndpoint((endpoint, context) => endpoint.probe(context, false)),
          openWatch: onEndpoint((endpoint) => endpoint.openWatch()),
          releaseWatch: onEndpoint((endpoint) => endpoint.releaseWatch()),
          cordon: onEndpoint((endpoint) => endpoint.cordon()),
          uncordon: onEndpoint((endpoint) => endpoint.uncordon()),
          readmit: onEndpoint((endpoint) => endpoint.readmit()),
          reportServed: onEndpoint((endpoint) => endpoint.reportServed()),
          reportLost: onEndpoint((endpoint, context) => endpoint.reportLost(context)),
        },
      }),
      failover: failoverMachine.provide({
        actions: {
          activate: total(({ context }) => route.activate(context)),
          cancelMove: total(() => route.cancelMove()),
          suspendRoute: total(() => route.suspend()),
          reportOpen: total(() => route.reportOpen()),
          reportStarted: total(({ context }) => route.reportStarted(context)),
          reportFailedOver: total(({ context }) => route.reportFailedOver(context)),
          reportFailed: total(({ context }) => route.reportFailed(context)),
          reportFailbackScheduled: total(({ context }) => route.reportFailbackScheduled(context)),
          reportFailedBack: total(({ context }) => route.reportFailedBack(context)),
        },
      }),
    },
  });
}
