/** connect-node, CheckStream as async iterables. */
import { readSettings } from '../lib/worker.js';
import { createConnectClient } from './connect-client.js';
import { serveIteratedStreams } from './iterated-streams.js';
import { isAllowed } from './messages.js';

const settings = readSettings();
const client = await createConnectClient(settings.address);
serveIteratedStreams(
  settings,
  (requests) => client.checkStream(requests),
  isAllowed,
  (request) => request,
);
