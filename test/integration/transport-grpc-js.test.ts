import { createGrpcJsTransport } from '../../src/transport/grpc-js.js';
import { describeTransportContract } from './transport-contract.js';

describeTransportContract('grpc-js', createGrpcJsTransport, {
  goawayDetail: true,
  ping: true,
  streamLimitChanges: false,
});
