/** Certificates that expire, are for somebody else, and are rotated, with engines as processes of their own under load. */

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { describe, expect } from 'vitest';

import type { AuthzClient } from '../../src/client.js';
import { ConnectionError, GrpcCode } from '../../src/errors.js';
import { question } from '../support/fault-engine.js';
import { eventually } from '../support/recorder.js';
import { Authority, Mounted, type Issued, type Validity } from './support/authority.js';
import type { Engine } from './support/engine.js';
import { Callers, StreamLoad } from './support/load.js';
import { testWith } from '../support/needs.js';
import { Yard } from './support/yard.js';

const yard = new Yard();
const tlsTest = testWith('openssl');
const TRANSPORTS = ['http2', 'grpc-js'] as const;
const HERE = 'IP:127.0.0.1,DNS:localhost';
/** Long enough to start an engine and to ask it on a busy machine. */
const LIFE_MS = 6_000;

function authority(name = 'chaos CA'): Authority {
  const made = new Authority(name);
  yard.afterwards(() => made.destroy());
  return made;
}

function mounted(issued: Issued, ...authorities: Authority[]): Mounted {
  const made = new Mounted(issued, ...authorities);
  yard.afterwards(() => made.destroy());
  return made;
}

/** The serial number of the certificate that a new connection is shown. */
async function serialAt({ port }: Engine): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}

const serialOf = ({ certPath }: Issued): string => new X509Certificate(readFileSync(certPath)).serialNumber;

/** An engine with a certificate of its own, and what is needed to renew it. */
async function securedEngine(
  name: string,
  by: Authority,
  names = HERE,
  validity?: Validity,
): Promise<[Engine, Mounted]> {
  const files = mounted(by.issue(names, validity), by);
  const { certPath, keyPath } = files;
  return [await yard.engine(name, { tls: { certPath, keyPath } }), files];
}

/** The check is refused with this cause, and nothing of it has left. */
async function expectRefusal(client: AuthzClient, cause: RegExp): Promise<void> {
  const error: unknown = await client.check(question(1), { deadline: 1_000 }).catch((refusal: unknown) => refusal);
  expect(error).toBeInstanceOf(ConnectionError);
  expect(error).toMatchObject({ grpcCode: GrpcCode.UNAVAILABLE, outcome: 'notSent' });
  expect(String(error)).toMatch(cause);
}

describe.each(TRANSPORTS)('over %s', (transport) => {
  tlsTest(
    'row 40: certificates are renewed by rolling restarts under load: new ones are used, and nothing is lost',
    async () => {
      const ca = authority();
      const [alpha, alphaFiles] = await securedEngine('alpha', ca);
      const [beta, betaFiles] = await securedEngine('beta', ca);
      const { client, events } = yard.pooledClient([alpha, beta], { caPath: ca.caPath, transport });
      await client.connect();
      const loads = [new Callers(client, 64), new StreamLoad(client, 16)] as const;
      for (const [engine, files] of [
        [alpha, alphaFiles],
        [beta, betaFiles],
      ] as const) {
        await loads[0].tally.answeredBy(engine.name);
        const renewed = ca.issue(HERE);
        files.renew(renewed);
        expect(await serialAt(engine)).not.toBe(serialOf(renewed));
        expect(await engine.terminate()).toEqual({ code: 0, signal: null });
        await engine.restart();
        expect(await serialAt(engine)).toBe(serialOf(renewed));
        await loads[0].tally.answeredBy(engine.name);
        await loads[1].tally.more(100);
      }
      for (const load of loads) (await load.stop()).expectSpotless();
      expect(events.of('error')).toEqual([]);
    },
  );

  tlsTest(
    'row 40: the authorities of both sides change, file by file: a running client reads them, and nothing is lost',
    async () => {
      const old = authority('old CA');
      const young = authority('young CA');
      const ofServer = mounted(old.issue(HERE), old);
      const ofClient = mounted(old.issue('DNS:client.example'), old);
      const engine = await yard.engine('alpha', { tls: ofServer });
      const { certPath, keyPath, caPath } = ofClient;
      const { client, events } = yard.client({ address: engine.address, certPath, keyPath, caPath, transport });
      await client.connect();
      const loads = [new Callers(client, 64), new StreamLoad(client, 16)] as const;
      const redeploy = async (change: () => void): Promise<void> => {
        await loads[0].tally.more();
        change();
        expect(await engine.terminate()).toEqual({ code: 0, signal: null });
        await engine.restart();
        await Promise.all(loads.map(({ tally }) => tally.more()));
      };
      await redeploy(() => {
        ofServer.trust(old, young);
        ofClient.trust(old, young);
      });
      await redeploy(() => ofClient.renew(young.issue('DNS:client.example')));
      await redeploy(() => ofServer.renew(young.issue(HERE)));
      await redeploy(() => {
        ofServer.trust(young);
        ofClient.trust(young);
      });
      for (const load of loads) (await load.stop()).expectSpotless();
      expect(events.of('error')).toEqual([]);
    },
  );

  tlsTest(
    'row 39: a certificate expires under load: what is open goes on, a new connection is refused, and a renewed one is taken',
    async () => {
      const ca = authority();
      const until = Date.now() + LIFE_MS;
      const [engine, files] = await securedEngine('alpha', ca, HERE, { until });
      const { client, events } = yard.client({ address: engine.address, caPath: ca.caPath, transport });
      await client.connect();
      const callers = new Callers(client, 64);
      await callers.tally.more();
      // OpenSSL counts seconds.
      await eventually(() => Date.now() > until + 1_000, 'the certificate to expire');
      await callers.tally.more();
      (await callers.stop()).expectSpotless();
      expect(events.count('disconnected')).toBe(0);

      await engine.kill();
      await engine.restart();
      await events.until('disconnected');
      await expectRefusal(client, /certificate has expired/i);
      expect(client.isConnected()).toBe(false);

      await engine.kill();
      files.renew(ca.issue(HERE));
      await engine.restart();
      const again = new Callers(client, 64);
      await again.tally.more();
      (await again.stop()).expectSpotless();
    },
  );

  tlsTest(
    'row 39: the certificate of the primary has expired: nothing is asked of it, the backup answers',
    async () => {
      const ca = authority();
      const [alpha] = await securedEngine('alpha', ca, HERE, { until: Date.now() - LIFE_MS });
      const [beta] = await securedEngine('beta', ca);
      const { client, events } = yard.failoverClient([alpha, beta], { caPath: ca.caPath, transport });
      await client.connect();
      const callers = new Callers(client, 64);
      await callers.tally.answeredBy('beta', 500);
      await eventually(() => events.of('pool_connection_failed').length >= 3, 'redials of the primary');
      const tally = await callers.stop();
      tally.expectSpotless();
      expect(tally.answersOf('alpha')).toBe(0);
      for (const { address, error } of events.of('pool_connection_failed')) {
        expect(address).toBe(alpha.address);
        expect(error.message).toMatch(/certificate has expired/i);
      }
    },
  );

  tlsTest(
    'row 39: a certificate is for another name: refused, and taken by a client that was told that name',
    async () => {
      const ca = authority();
      const [engine] = await securedEngine('alpha', ca, 'DNS:other.example');
      const { client } = yard.client({ address: engine.address, caPath: ca.caPath, transport });
      await expectRefusal(client, /altname|does not match/i);
      const options = { address: engine.address, caPath: ca.caPath, serverName: 'other.example', transport };
      const callers = new Callers(yard.client(options).client, 8);
      await callers.tally.more();
      (await callers.stop()).expectSpotless();
    },
  );

  tlsTest('row 39: a certificate is of another authority: refused', async () => {
    const [engine] = await securedEngine('alpha', authority());
    const { client } = yard.client({ address: engine.address, caPath: authority('another CA').caPath, transport });
    await expectRefusal(client, /unable to verify|self.signed|issuer/i);
  });

  tlsTest('row 39: the server speaks plaintext: refused, and every dial begins with a handshake', async () => {
    const ca = authority();
    const engine = await yard.engine('alpha');
    const { client } = yard.client({ address: engine.address, caPath: ca.caPath, transport });
    await expectRefusal(client, /\S/);

    const firstBytes: (number | undefined)[] = [];
    const listener = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (chunk) => {
        firstBytes.push(chunk[0]);
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      });
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    yard.afterwards(() => listener.close());
    const address = listener.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const other = yard.client({ address: `127.0.0.1:${address.port}`, caPath: ca.caPath, transport });
    const refusal = expectRefusal(other.client, /\S/);
    await eventually(() => firstBytes.length >= 3, 'three dials');
    await refusal;
    // 22: a record of TLS that belongs to its handshake.
    expect(new Set(firstBytes)).toEqual(new Set([22]));
  });

  tlsTest('row 7: the primary is frozen before its handshake: given up, and the backup answers', async () => {
    const ca = authority();
    const [alpha] = await securedEngine('alpha', ca);
    const [beta] = await securedEngine('beta', ca);
    alpha.signal('SIGSTOP');
    const { client, events } = yard.failoverClient([alpha, beta], {
      caPath: ca.caPath,
      connectTimeout: 500,
      transport,
    });
    await client.connect();
    const callers = new Callers(client, 64);
    await callers.tally.answeredBy('beta');
    await events.until('pool_connection_failed', 2);
    for (const { address, error } of events.of('pool_connection_failed')) {
      expect(address).toBe(alpha.address);
      expect(error.message).toContain('500 ms');
    }
    alpha.signal('SIGCONT');
    await callers.tally.answeredBy('alpha');
    (await callers.stop()).expectSpotless();
  });
});
