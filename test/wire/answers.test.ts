/** Rows 24 to 31: answers that are errors, broken, or none of gRPC's. */

import { expect } from 'vitest';

import { type CheckOptions, ConfigurationError, GrpcCode, isAllowed, ProtocolError } from '../../src/index.js';
import type { RawAuthzServer, Received } from '../support/fault-raw-authz.js';
import { FrameType, grpcFrame, RESPONSE_HEADERS, type Headers } from '../support/raw-server.js';
import { question, questions, rejection } from '../support/stage.js';
import { ask, at, describeRows } from './rows.js';

/** Per-call metadata makes a check a call of its own. */
const ALONE: CheckOptions = { metadata: { 'x-alone': 'yes' } };

/** How a check can ride. */
const WAYS: readonly (readonly [string, CheckOptions])[] = [
  ['a check on a stream', {}],
  ['a check that is a call of its own', ALONE],
];

/** A message cut in its middle. */
const half = (received: Received, server: RawAuthzServer): Buffer =>
  grpcFrame(server.messageFor(received)).subarray(0, 9);

/** The first call ends so; every other request is answered. */
const sickOnce =
  (end: (received: Received, server: RawAuthzServer) => void) =>
  (received: Received, server: RawAuthzServer): void => {
    if (server.received.length > 1) {
      server.answer(received);
      return;
    }
    server.leave(received);
    end(received, server);
  };

const trailersOnly =
  (headers: Headers) =>
  ({ connection, streamId }: Received): void => {
    connection.headers(streamId, headers, true);
  };

describeRows('errors of the server', ({ row, server: listen, client: connect }) => {
  for (const [who, options] of WAYS) {
    for (const [name, code] of [
      ['INVALID_ARGUMENT', 3],
      ['NOT_FOUND', 5],
      ['PERMISSION_DENIED', 7],
      ['INTERNAL', 13],
      ['DATA_LOSS', 15],
    ] as const) {
      row(`row 24: ${who} + ${name} in trailers only: that code, answered, and not asked again`, async () => {
        const server = await listen({
          onRequest: sickOnce(
            trailersOnly({ ...RESPONSE_HEADERS, 'grpc-status': String(code), 'grpc-message': 'no%21' }),
          ),
        });
        const error = await rejection(ask(connect(server), question(), options));
        expect(error).toMatchObject({
          grpcCode: code,
          outcome: 'answered',
          message: expect.stringContaining('no!') as string,
        });
        expect(server.received).toHaveLength(1);
      });
    }

    row(`row 24: ${who} + UNAVAILABLE in trailers only: asked again, and answered`, async () => {
      const server = await listen({
        onRequest: sickOnce(trailersOnly({ ...RESPONSE_HEADERS, 'grpc-status': '14' })),
      });
      const asked = question();
      expect(isAllowed(await ask(connect(server), asked, options))).toBe(true);
      expect(server.ids).toEqual([asked.requestId, asked.requestId]);
    });
  }

  for (const [text, who, options] of WAYS.flatMap(([who, options]) =>
    ['abc', '99', '-1', ''].map((text) => [text, who, options] as const),
  )) {
    row(`row 30: ${who} + grpc-status "${text}": UNKNOWN, and not asked again`, async () => {
      const server = await listen({
        onRequest: sickOnce(trailersOnly({ ...RESPONSE_HEADERS, 'grpc-status': text })),
      });
      const error = await rejection(ask(connect(server), question(), options), ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.UNKNOWN, outcome: 'answered' });
      expect(server.received).toHaveLength(1);
    });
  }
});

describeRows('answers that break off', ({ row, server: listen, client: connect }) => {
  const ends: readonly (readonly [string, (received: Received, server: RawAuthzServer) => void])[] = [
    [
      'half a message and OK',
      (received, server) => {
        server.begin(received);
        received.connection.data(received.streamId, half(received, server));
        received.connection.headers(received.streamId, { 'grpc-status': '0' }, true);
      },
    ],
    [
      'half a message and the end of the stream',
      (received, server) => {
        server.begin(received);
        received.connection.data(received.streamId, half(received, server), true);
      },
    ],
    [
      'headers and the end of the stream',
      (received, server) => {
        server.begin(received);
        received.connection.data(received.streamId, Buffer.alloc(0), true);
      },
    ],
  ];
  for (const [who, options] of WAYS) {
    for (const [what, end] of ends) {
      row(`row 25: ${who} + ${what}: asked again, and answered`, async () => {
        const server = await listen({ onRequest: sickOnce(end) });
        expect(isAllowed(await ask(connect(server), question(), options))).toBe(true);
        expect(server.received).toHaveLength(2);
      });

      row(`row 25: ${who} + ${what}, with no retries: INTERNAL`, async () => {
        const server = await listen({ onRequest: sickOnce(end) });
        const error = await rejection(ask(connect(server, { maxRetries: 0 }), question(), options), ProtocolError);
        expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'unknown' });
      });
    }
  }

  row('row 25: a check on a stream + OK and no message: asked again, and answered', async () => {
    const server = await listen({
      onRequest: sickOnce(trailersOnly({ ...RESPONSE_HEADERS, 'grpc-status': '0' })),
    });
    expect(isAllowed(await ask(connect(server)))).toBe(true);
    expect(server.received).toHaveLength(2);
  });

  row('row 25: a check that is a call of its own + OK and no message: INTERNAL, for it was answered', async () => {
    const server = await listen({
      onRequest: sickOnce(trailersOnly({ ...RESPONSE_HEADERS, 'grpc-status': '0' })),
    });
    const error = await rejection(ask(connect(server), question(), ALONE), ProtocolError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered' });
    expect(server.received).toHaveLength(1);
  });

  row(
    'row 25: checks of which one was answered + the end of the stream: only the unanswered are asked again',
    async () => {
      const server = await listen();
      const asked = questions(3);
      const client = connect(server);
      const answers = asked.map((one) => ask(client, one));
      const { connection, streamId } = await server.request(2);
      server.answer(await server.request(1));
      await answers[1];
      server.onRequest = server.answer;
      server.leave({ connection, streamId });
      connection.data(streamId, Buffer.alloc(0), true);
      expect((await Promise.all(answers)).every((one) => isAllowed(one))).toBe(true);
      const [first, , third] = asked.map(({ requestId }) => requestId);
      expect(server.ids.slice(3)).toEqual([first, third]);
    },
  );
});

describeRows('answers that cannot be read', ({ row, server: listen, client: connect }) => {
  row(
    'row 26: a check that is a call of its own + two messages: INTERNAL now, not at the deadline, and not asked again',
    async () => {
      const server = await listen({
        // The call stays open: only the second message tells.
        onRequest: sickOnce((received, server) => {
          server.begin(received);
          const message = grpcFrame(server.messageFor(received));
          received.connection.data(received.streamId, Buffer.concat([message, message]));
        }),
      });
      // A deadline that no test would wait for.
      const client = connect(server, { timeout: 600_000 });
      const error = await rejection(ask(client, question(), ALONE), ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered', retryable: false });
      expect(server.received).toHaveLength(1);
    },
  );

  const MALFORMED = Buffer.from([0x12, 0x7f, 0x01]);

  row(
    'row 27: one check on a stream + malformed protobuf: INTERNAL, not asked again, and the stream is replaced',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = ask(client);
      const first = await server.request(0);
      server.send(first, MALFORMED);
      const error = await rejection(asked, ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered', retryable: false });
      expect(server.received).toHaveLength(1);
      await first.connection.frame(FrameType.RST_STREAM, first.streamId);
      server.onRequest = server.answer;
      expect(isAllowed(await ask(client))).toBe(true);
      expect(server.received[1]?.streamId).not.toBe(first.streamId);
    },
  );

  row(
    'row 27: three checks on a stream + malformed protobuf that names one: that one fails, the others are asked again',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = questions(3);
      const answers = asked.map((one) => ask(client, one));
      await server.request(2);
      server.onRequest = server.answer;
      const id = Buffer.from(asked[1]?.requestId ?? '');
      server.send(await server.request(1), Buffer.concat([Buffer.from([0x0a, id.length]), id, MALFORMED]));
      expect(await rejection(at(answers, 1), ProtocolError)).toMatchObject({
        grpcCode: GrpcCode.INTERNAL,
        outcome: 'answered',
        requestId: asked[1]?.requestId,
      });
      expect(isAllowed(await at(answers, 0))).toBe(true);
      expect(isAllowed(await at(answers, 2))).toBe(true);
      expect(server.ids.slice(3)).toEqual([asked[0]?.requestId, asked[2]?.requestId]);
    },
  );

  row(
    'row 27: three checks on a stream + malformed protobuf that names none: all are asked again, and answered',
    async () => {
      const server = await listen();
      const client = connect(server);
      const asked = questions(3);
      const answers = asked.map((one) => ask(client, one));
      const { connection, streamId } = await server.request(2);
      server.onRequest = server.answer;
      server.send({ connection, streamId }, MALFORMED);
      expect((await Promise.all(answers)).every((one) => isAllowed(one))).toBe(true);
      expect(server.ids.slice(3)).toEqual(asked.map(({ requestId }) => requestId));
    },
  );

  row('row 27: a check that is a call of its own + malformed protobuf: INTERNAL, and not asked again', async () => {
    const server = await listen({
      onRequest: (received, server) => {
        server.send(received, MALFORMED);
      },
    });
    const error = await rejection(ask(connect(server), question(), ALONE), ProtocolError);
    expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered' });
    expect(server.received).toHaveLength(1);
  });

  for (const [flag, [who, options]] of [1, 2, 255].flatMap((flag) => WAYS.map((way) => [flag, way] as const))) {
    row(`row 29: ${who} + compression flag ${flag}: INTERNAL, and not asked again`, async () => {
      const server = await listen({
        onRequest: sickOnce((received, server) => {
          server.begin(received);
          received.connection.data(received.streamId, grpcFrame(server.messageFor(received), flag));
        }),
      });
      const client = connect(server);
      const error = await rejection(ask(client, question(), options), ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.INTERNAL, outcome: 'answered', retryable: false });
      expect(server.received).toHaveLength(1);
      expect(isAllowed(await ask(client, question(), options))).toBe(true);
    });
  }
});

describeRows('messages larger than the limit', ({ row, server: listen, client: connect }) => {
  const MAX = { maxMessageBytes: 16_384 };
  const oversize = (received: Received, server: RawAuthzServer): Buffer =>
    Buffer.concat([server.messageFor(received), Buffer.from([0x7a, 0x80, 0x80, 0x02]), Buffer.alloc(32_768)]);

  row(
    'row 28: one answer on a shared stream larger than the limit: that check is RESOURCE_EXHAUSTED, its neighbours are answered',
    async () => {
      const server = await listen();
      const client = connect(server, MAX);
      const asked = questions(3);
      const answers = asked.map((one) => ask(client, one));
      const received = await Promise.all([0, 1, 2].map((index) => server.request(index)));
      const [first, second, third] = received as [Received, Received, Received];
      server.answer(first);
      server.send(second, oversize(second, server));
      server.answer(third);
      const error = await rejection(at(answers, 1));
      expect(error).toMatchObject({ grpcCode: GrpcCode.RESOURCE_EXHAUSTED, requestId: asked[1]?.requestId });
      expect(isAllowed(await at(answers, 0))).toBe(true);
      expect(isAllowed(await at(answers, 2))).toBe(true);
      // On the same call, each asked once.
      expect(server.ids).toEqual(asked.map(({ requestId }) => requestId));
      const later = ask(client);
      const fourth = await server.request(3);
      expect(fourth.streamId).toBe(first.streamId);
      server.answer(fourth);
      expect(isAllowed(await later)).toBe(true);
    },
  );

  row(
    'row 28: an answer larger than the limit that comes in pieces: the check fails as soon as its id is in',
    async () => {
      const server = await listen();
      const client = connect(server, MAX);
      const asked = ask(client);
      const first = await server.request(0);
      const frame = grpcFrame(oversize(first, server));
      server.begin(first);
      for (let offset = 0; offset < 4_200; offset += 7) {
        first.connection.data(first.streamId, frame.subarray(offset, offset + 7));
      }
      expect(await rejection(asked)).toMatchObject({ grpcCode: GrpcCode.RESOURCE_EXHAUSTED });
      // What follows it on the call is read where it begins.
      first.connection.data(first.streamId, frame.subarray(4_200));
      server.onRequest = server.answer;
      expect(isAllowed(await ask(client))).toBe(true);
      expect(server.received[1]?.streamId).toBe(first.streamId);
    },
  );

  row('row 28: any answer larger than the limit: RESOURCE_EXHAUSTED, never an allow, and not asked again', async () => {
    for (const [, options] of WAYS) {
      const server = await listen({
        onRequest: (received, server) => {
          server.send(received, oversize(received, server));
        },
      });
      const error = await rejection(ask(connect(server, MAX), question(), options), ProtocolError);
      expect(error).toMatchObject({ grpcCode: GrpcCode.RESOURCE_EXHAUSTED });
      expect(server.received).toHaveLength(1);
    }
  });

  row('row 28: a request larger than the limit: refused, notSent, and nothing reaches the server', async () => {
    const server = await listen({
      onRequest: (received, server) => {
        server.answer(received);
      },
    });
    const client = connect(server, MAX);
    for (const [, options] of WAYS) {
      const big = question({ context: { text: 'x'.repeat(32_768) } });
      expect(await rejection(ask(client, big, options), ConfigurationError)).toMatchObject({ outcome: 'notSent' });
    }
    expect(isAllowed(await ask(client))).toBe(true);
    expect(server.received).toHaveLength(1);
  });
});

describeRows('answers that are not of gRPC', ({ row, server: listen, client: connect }) => {
  const pages = [
    ['200', 'UNKNOWN', 'not asked again'],
    ['401', 'UNAUTHENTICATED', 'not asked again'],
    ['403', 'PERMISSION_DENIED', 'not asked again'],
    ['429', 'UNAVAILABLE', 'asked again, up to maxRetries'],
    ['503', 'UNAVAILABLE', 'asked again, up to maxRetries'],
  ] as const;
  for (const [[httpStatus, code, then], [who, options]] of pages.flatMap((page) =>
    WAYS.map((way) => [page, way] as const),
  )) {
    row(`row 31: ${who} + HTTP ${httpStatus} and a page of HTML: ${code}, ${then}`, async () => {
      const server = await listen({
        onRequest: (received, server) => {
          server.leave(received);
          received.connection.headers(received.streamId, { ':status': httpStatus, 'content-type': 'text/html' });
          received.connection.data(received.streamId, Buffer.from('<html>sorry</html>'), true);
        },
      });
      const client = connect(server, { maxRetries: 2 });
      const error = await rejection(ask(client, question(), options));
      expect(error).toMatchObject({ grpcCode: GrpcCode[code], outcome: 'answered' });
      expect(server.received).toHaveLength(code === 'UNAVAILABLE' ? 3 : 1);
      server.onRequest = server.answer;
      expect(isAllowed(await ask(client, question(), options))).toBe(true);
    });
  }
});
