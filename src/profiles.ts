/** Ready-made options for three common needs: `createClient({ address, ...profiles.reliable })`. */

import type { PooledClientOptions } from './options-types.js';
import { deepFreeze } from './options-types.js';

/** Frozen; spread one into your options and override what you like. */
export const profiles = deepFreeze({
  /** Many streams, rotated early, answers as they come. */
  highThroughput: {
    streamPool: {
      maxConcurrentStreams: 16,
      streamIdleTimeout: 120_000,
      enableStreamReuse: true,
      streamReuseTimeout: 30_000,
    },
    streams: { multiplexing: true, maxRequestsPerStream: 500, ensureOrdering: false },
  },
  /** Few streams, one request at a time on each, so that none waits behind a slow one; answers in order. */
  lowLatency: {
    streamPool: { maxConcurrentStreams: 4, streamIdleTimeout: 60_000, enableStreamReuse: true },
    streams: { multiplexing: false, deduplication: false, ensureOrdering: true },
  },
  /** Answers in order; a repeated request is answered from a cache of 500. */
  reliable: {
    streamPool: {
      maxConcurrentStreams: 10,
      streamIdleTimeout: 300_000,
      enableStreamReuse: true,
      streamReuseTimeout: 60_000,
    },
    streams: { multiplexing: true, deduplication: true, deduplicationCacheSize: 500, ensureOrdering: true },
  },
}) satisfies Record<string, PooledClientOptions>;
