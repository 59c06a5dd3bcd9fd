/** Eight streams that share callbacks, for throughput; and the numbers the client keeps of them. */

import { createClient, profiles } from '@authz-engine/grpc-client';
import { startEngine } from '@authz-engine/grpc-client/engine';

const COUNT = 20_000;

const engine = await startEngine({ policies: 'examples/policies' });
const client = createClient({ address: engine.address, ...profiles.highThroughput });

let open = 8;
const ended = new Promise<void>((resolve) => {
  const handles = client.createStreamPool(open, {
    onResponse: () => undefined,
    onError: (error) => console.error(error.message),
    onEnd: () => {
      if (--open === 0) resolve();
    },
  });

  void Promise.all(
    handles.map(async (handle, lane) => {
      for (let index = lane; index < COUNT; index += handles.length) {
        await handle.ready();
        handle.send({
          requestId: `request-${index}`,
          principal: { id: 'alice', roles: ['viewer'] },
          resource: { kind: 'document', id: String(index) },
          actions: ['read'],
        });
      }
      handle.end();
    }),
  );
});
await ended;

const metrics = client.getStreamMonitoringMetrics();
console.log(`${metrics.totalMessagesSent} sent, ${metrics.totalMessagesReceived} answered on 8 streams`);
console.log(`never more than ${metrics.peakBufferSize} waited to be written on one stream`);
console.log(`${metrics.activeStreams} streams are open now`);

await client.disconnect();
await engine.stop();
