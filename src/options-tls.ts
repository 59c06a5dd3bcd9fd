/** Reads and checks the PEM files of TLS. */

import type { KeyObject } from 'node:crypto';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ConfigurationError } from './errors.js';
import type { TlsFiles } from './transport/port.js';

/** Larger than any certificate bundle (the system's own is a quarter of it). */
const MAX_FILE_BYTES = 1_048_576;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** Where the files are. */
export interface TlsPaths {
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
  readonly caPath?: string | undefined;
  readonly serverName?: string | undefined;
}

/** What went wrong, in words: the operating system's or OpenSSL's, which quote no content. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'an unknown error';
}

function readPem(option: string, file: string): Buffer {
  try {
    const stat = statSync(file);
    // A pipe or a device would block the whole process, or never end.
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (stat.size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(file);
  } catch (error) {
    throw new ConfigurationError(option, `cannot read ${JSON.stringify(file)}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The certificates of a bundle, all of them parsed: a broken one in the middle would else show only at the first handshake. */
function readCertificates(option: string, file: string): { pem: Buffer; first: X509Certificate } {
  const pem = readPem(option, file);
  const blocks = pem.toString('latin1').match(CERTIFICATE) ?? [];
  try {
    const [first] = blocks.map((block) => new X509Certificate(block));
    if (first === undefined) throw new Error('it holds no PEM certificate');
    return { pem, first };
  } catch (error) {
    throw new ConfigurationError(option, `cannot use ${JSON.stringify(file)}: ${reasonOf(error)}`, { cause: error });
  }
}

function readPrivateKey(file: string): { pem: Buffer; key: KeyObject } {
  const pem = readPem('keyPath', file);
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch (error) {
    throw new ConfigurationError('keyPath', `cannot use ${JSON.stringify(file)}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Reads the files as they are now. `options.ts` has seen to it that certificate and key come together.
 * @throws ConfigurationError naming the option, the file and the cause
 */
export function readTlsFiles(paths: TlsPaths): TlsFiles {
  const ca = paths.caPath === undefined ? undefined : readCertificates('caPath', paths.caPath).pem;
  const cert = paths.certPath === undefined ? undefined : readCertificates('certPath', paths.certPath);
  const key = paths.keyPath === undefined ? undefined : readPrivateKey(paths.keyPath);
  if (cert !== undefined && key !== undefined && !cert.first.checkPrivateKey(key.key)) {
    throw new ConfigurationError('keyPath', `is not the key of the certificate in ${JSON.stringify(paths.certPath)}`);
  }
  return Object.freeze({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert: cert.pem }),
    ...(key === undefined ? {} : { key: key.pem }),
    ...(paths.serverName === undefined ? {} : { serverName: paths.serverName }),
  });
}

/**
 * Gives the files as they are at each new connection, so that a rotated certificate is used without a restart. While a rotation is half
 * done (one file new, the other old) the last good set goes on being used.
 */
export function createTlsReader(paths: TlsPaths, initial: TlsFiles): () => TlsFiles {
  let lastGood = initial;
  return () => {
    try {
      lastGood = readTlsFiles(paths);
    } catch {
      // Half-way through a rotation, or the files are gone: the peer judges the certificate we still have.
    }
    return lastGood;
  };
}
