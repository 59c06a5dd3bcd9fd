import { createHttp2Transport } from '../../src/transport/http2.js';
import { describeTransportContract } from './transport-contract.js';

describeTransportContract('http2', createHttp2Transport, { goawayDetail: true, ping: true, streamLimitChanges: true });
