/** nice-grpc, one unary call per check. */
import { readSettings } from '../lib/worker.js';
import { isAllowed } from './messages.js';
import { createNiceGrpcClient } from './nice-grpc-client.js';
import { toMessage } from './struct.js';
import { serveUnaryCallers } from './unary-callers.js';

const settings = readSettings();
const client = await createNiceGrpcClient(settings.address);
serveUnaryCallers(settings, (request) => client.check(request), isAllowed, toMessage);
