/** What charts are begun with where the test is about something else. */

import type { EndpointInput } from '../../../machines/contract.js';

export const BACKOFF = { initialDelay: 100, maxDelay: 1_000, multiplier: 2, jitter: false };

export const ENDPOINT_CONFIG: EndpointInput['config'] = {
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  failoverThreshold: 2,
  probeIntervalMs: 250,
  healthIntervalMs: 10_000,
  healthEnabled: true,
  recheck: BACKOFF,
};
