/** connect-node, one unary call per check. Attributes need no conversion: it takes JSON for google.protobuf.Struct. */
import { readSettings } from '../lib/worker.js';
import { createConnectClient } from './connect-client.js';
import { isAllowed } from './messages.js';
import { serveUnaryCallers } from './unary-callers.js';

const settings = readSettings();
const client = await createConnectClient(settings.address);
serveUnaryCallers(
  settings,
  (request) => client.check(request),
  isAllowed,
  (request) => request,
);
