/** Throw-away certificates, made by the openssl command line. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Certificates {
  readonly ca: Buffer;
  /** For `localhost` and 127.0.0.1. */
  readonly server: KeyPair;
  /** For `other.example` only. */
  readonly otherName: KeyPair;
  /** For `localhost`, expired. */
  readonly expired: KeyPair;
  readonly client: KeyPair;
  /** A client certificate of another authority. */
  readonly stranger: KeyPair;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'authz-certs-'));
  const file = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const authority = (name: string): void => {
    openssl(
      'req',
      '-x509',
      ...KEY,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
    );
  };
  const leaf = (name: string, by: string, subjectAltName: string, days: number): KeyPair => {
    openssl('req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(file(`${name}.ext`), `subjectAltName=${subjectAltName}\n`);
    const sign = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', String(days)];
    openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-extfile', `${name}.ext`, '-out', `${name}.pem`);
    return { cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)) };
  };
  try {
    authority('ca');
    authority('strange-ca');
    return {
      ca: readFileSync(file('ca.pem')),
      server: leaf('server', 'ca', 'DNS:localhost,IP:127.0.0.1', 2),
      otherName: leaf('other', 'ca', 'DNS:other.example', 2),
      expired: leaf('expired', 'ca', 'DNS:localhost,IP:127.0.0.1', -1),
      client: leaf('client', 'ca', 'DNS:client.example', 2),
      stranger: leaf('stranger', 'strange-ca', 'DNS:client.example', 2),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
