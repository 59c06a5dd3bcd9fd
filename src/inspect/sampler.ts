import { LatencyHistogram } from '../core/latency-histogram.js';
import type { ClientRuntime } from '../runtime/client-runtime.js';
import type { ConnectionGauges, EndpointGauges, Gauges, StreamGauges } from './protocol.js';

/** Samples that rates reach back over: a second of them. */
const WINDOW = 8;

/** Counters at one moment. */
interface Sample {
  readonly atMs: number;
  readonly settled: number;
  readonly failed: number;
  readonly spared: number;
  /** Answers of connections and writes of streams, by their ids. */
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * Reads the counters that the client keeps anyway, and tells by how much they grow in a second. Latencies alone are counted for it, while it
 * lives.
 */
export class Sampler {
  readonly #runtime: ClientRuntime;
  readonly #latencies = new LatencyHistogram(WINDOW);
  readonly #samples: Sample[] = [];
  /** The last gauges, as JSON: told to every page. */
  text: string;

  constructor(runtime: ClientRuntime) {
    this.#runtime = runtime;
    runtime.book.latencies = this.#latencies;
    this.text = this.#take();
  }

  sample(): void {
    this.text = this.#take();
    this.#latencies.turn();
  }

  stop(): void {
    this.#runtime.book.latencies = undefined;
  }

  #take(): string {
    const { book, desk, pool, streams, unary } = this.#runtime;
    const counts = new Map<string, number>();
    for (const { id, totalRequests } of pool) counts.set(id, totalRequests);
    for (const { id, pipe } of streams) counts.set(id, pipe.sent);
    const { successful, failed } = book.totals;
    const now = { atMs: performance.now(), settled: successful + failed, failed, spared: desk.dedup.spared, counts };
    this.#samples.push(now);
    if (this.#samples.length > WINDOW + 1) this.#samples.shift();
    const since = this.#samples[0] ?? now;
    const [p50Ms = null, p99Ms = null] = this.#latencies.quantiles([0.5, 0.99]) ?? [];
    const connections = this.#connections(now, since);
    return JSON.stringify({
      checksPerSecond: rate(now, since, ({ settled }) => settled),
      failedPerSecond: rate(now, since, (sample) => sample.failed),
      inFlight: book.requests + unary.size,
      dedupHitsPerSecond: rate(now, since, ({ spared }) => spared),
      p50Ms: rounded(p50Ms),
      p99Ms: rounded(p99Ms),
      endpoints: this.#endpoints(connections),
      connections,
      streams: this.#streams(now, since),
    } satisfies Gauges);
  }

  #connections(now: Sample, since: Sample): ConnectionGauges[] {
    return [...this.#runtime.pool].map(({ id, endpoint, inFlight, totalRequests, latency }) => ({
      id,
      endpoint: endpoint.id,
      inFlight,
      checksPerSecond: rate(now, since, ({ counts }) => counts.get(id) ?? 0),
      p50Ms: totalRequests === 0 ? null : rounded(latency.p50Ms),
      p99Ms: totalRequests === 0 ? null : rounded(latency.p99Ms),
    }));
  }

  #endpoints(connections: readonly ConnectionGauges[]): EndpointGauges[] {
    const { endpoints, route } = this.#runtime;
    return endpoints.map(({ id, address, level, served, status }) => {
      const own = connections.filter(({ endpoint }) => endpoint === id);
      return {
        id,
        address: address.text,
        level,
        active: served && level === route.level,
        served,
        health: status,
        inFlight: sum(own.map(({ inFlight }) => inFlight)),
        checksPerSecond: sum(own.map(({ checksPerSecond }) => checksPerSecond)),
      };
    });
  }

  #streams(now: Sample, since: Sample): StreamGauges[] {
    const { streams } = this.#runtime;
    const dropped = new Map([...streams.handles].map((handle) => [handle.getId(), handle.messagesDropped]));
    return [...streams].map(({ id, kind, connection, pipe }) => ({
      id,
      kind,
      connection: connection?.closed === false ? connection.id : null,
      queued: pipe.owed - pipe.unanswered,
      lowWaterMark: pipe.outbox.limits.lowWaterMark,
      highWaterMark: pipe.outbox.limits.highWaterMark,
      inFlight: pipe.unanswered,
      checksPerSecond: rate(now, since, ({ counts }) => counts.get(id) ?? 0),
      dropped: dropped.get(id) ?? 0,
    }));
  }
}

/** A second's worth; a counter that was set back has counted from 0 since. */
function rate(now: Sample, since: Sample, of: (sample: Sample) => number): number {
  const seconds = (now.atMs - since.atMs) / 1_000;
  if (seconds <= 0) return 0;
  const [after, before] = [of(now), of(since)];
  return Math.round(((after < before ? after : after - before) / seconds) * 10) / 10;
}

const rounded = (ms: number | null): number | null => (ms === null ? null : Math.round(ms * 1_000) / 1_000);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
