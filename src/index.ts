/** The public face. */

export { AuthzClient, createClient, createPooledClient, type BasicStream, type StreamDiagnostics } from './client.js';
export {
  AuthzClientError,
  type AuthzErrorOptions,
  BackpressureError,
  CancelledError,
  ConfigurationError,
  ConnectionError,
  FailoverError,
  GrpcCode,
  HealthCheckError,
  type Outcome,
  PoolExhaustedError,
  ProtocolError,
  StreamClosedError,
  TimeoutError,
} from './errors.js';
export type {
  DumpedActor,
  DumpedTransition,
  FlightDump,
  FlightEvent,
  FlightRecord,
  FlightState,
  FlightTransition,
  Json,
  JsonObject,
} from './flight.js';
export * from './types.js';
export type { ClientEventListener, ClientEventName, ClientEvents } from './events.js';
export type {
  AdvancedStreamOptions,
  AuthzClientOptions,
  BackpressureConfig,
  ConnectionPoolOptions,
  Credentials,
  DeduplicationOptions,
  ExpiringToken,
  FailoverConfig,
  HealthCheckConfig,
  InspectOption,
  PooledClientOptions,
  ReconnectConfig,
  StreamPoolConfig,
  TransportOption,
} from './options.js';
export {
  DEFAULT_BACKPRESSURE_CONFIG,
  DEFAULT_FAILOVER_CONFIG,
  DEFAULT_HEALTH_CHECK_CONFIG,
  DEFAULT_OPTIONS,
  DEFAULT_POOL_OPTIONS,
  DEFAULT_RECONNECT_CONFIG,
  DEFAULT_STREAM_OPTIONS,
  DEFAULT_STREAM_POOL_CONFIG,
} from './options.js';
export { profiles } from './profiles.js';
export type { BidirectionalStreamHandle } from './runtime/stream-handle.js';
export type { Clock, TimerHandle } from './core/clock.js';
export type { Random } from './core/random.js';
export type { Logger } from './observe/logger.js';
export type {
  ConnectionListener,
  ConnectOptions,
  DownCause,
  StreamListener,
  Target,
  TlsFiles,
  Transport,
  TransportConnection,
  UnaryOptions,
  UnaryResult,
  WireMetadata,
  WireStatus,
  WireStream,
  WriteResult,
} from './transport/port.js';
