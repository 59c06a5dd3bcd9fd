/** nice-grpc, CheckStream as async iterables. */
import { readSettings } from '../lib/worker.js';
import { serveIteratedStreams } from './iterated-streams.js';
import { isAllowed } from './messages.js';
import { createNiceGrpcClient } from './nice-grpc-client.js';
import { toMessage } from './struct.js';

const settings = readSettings();
const client = await createNiceGrpcClient(settings.address);
serveIteratedStreams(settings, (requests) => client.checkStream(requests), isAllowed, toMessage);
