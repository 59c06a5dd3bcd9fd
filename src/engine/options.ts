/** The engine's options: what may be said, the defaults, and a refusal that names what is wrong. */

import { readFileSync } from 'node:fs';
import { ServerCredentials } from '@grpc/grpc-js';
import * as v from 'valibot';
import { ConfigurationError } from '../errors.js';

export interface EngineTlsOptions {
  /** PEM file of the server's certificate chain. */
  certPath: string;
  /** PEM file of its private key. */
  keyPath: string;
  /** PEM file of the authority that clients' certificates must be signed by: mutual TLS. Default: clients show none. */
  caPath?: string;
}

export interface EngineOptions {
  /** Directory of YAML policies; see `loadPolicyDirectory`. */
  policies: string;
  /** Address to listen on. Default 127.0.0.1: this machine only. */
  host?: string;
  /** Port to listen on. Default 0: any free one. */
  port?: number;
  /** Callers of LoadPolicies and ReloadPolicies must bear it. Default: none, and these calls answer PERMISSION_DENIED. */
  adminToken?: string;
  /** Milliseconds each answer is held back, for tests and demos. Default 0. */
  latencyMs?: number;
  /** Default: plaintext. */
  tls?: EngineTlsOptions;
  /** The largest message taken or sent, bytes. Default 4 MiB. */
  maxMessageBytes?: number;
  /** Whether health starts as SERVING. Default true. */
  healthy?: boolean;
  /** Hosts (`name` or `name:port`) that LoadPolicies may fetch from, over https. Default: none. */
  policyUrlAllowList?: string[];
}

const text = (what: string) => v.pipe(v.string(`must be ${what}`), v.minLength(1, `must be ${what}`));

const wholeNumber = (minimum: number, maximum: number) => {
  const rule = `must be a whole number from ${minimum} to ${maximum}`;
  return v.pipe(v.number(rule), v.integer(rule), v.minValue(minimum, rule), v.maxValue(maximum, rule));
};

function objectMessage(issue: { expected: string | null; received: string }): string {
  if (issue.expected === 'never') return 'unknown option';
  return issue.expected === 'Object' ? 'must be an object' : 'is required';
}

const optionsSchema = v.strictObject(
  {
    policies: text('the path of a directory'),
    host: v.optional(text('a host name or IP address'), '127.0.0.1'),
    port: v.optional(wholeNumber(0, 65_535), 0),
    adminToken: v.optional(text('a token of at least one character')),
    latencyMs: v.optional(wholeNumber(0, 3_600_000), 0),
    tls: v.optional(
      v.strictObject(
        {
          certPath: text('the path of a PEM file'),
          keyPath: text('the path of a PEM file'),
          caPath: v.optional(text('the path of a PEM file')),
        },
        objectMessage,
      ),
    ),
    maxMessageBytes: v.optional(wholeNumber(1_024, 1_073_741_824), 4_194_304),
    healthy: v.optional(v.boolean('must be true or false'), true),
    policyUrlAllowList: v.optional(
      v.array(
        v.pipe(
          v.string('must be a host, or host:port'),
          v.check((host) => isHost(host), 'must be a host, or host:port, in lower case'),
        ),
        'must be a list of hosts',
      ),
      [],
    ),
  },
  objectMessage,
);

/** As `URL` writes hosts, because that is what they are compared with. */
function isHost(host: string): boolean {
  const url = `https://${host}/`;
  return URL.canParse(url) && new URL(url).host === host;
}

export type ResolvedEngineOptions = v.InferOutput<typeof optionsSchema>;

/** @throws ConfigurationError naming the option and the rule it breaks. */
export function resolveEngineOptions(options: unknown): ResolvedEngineOptions {
  const result = v.safeParse(optionsSchema, options);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue) ?? 'options';
  throw new ConfigurationError(path, issue.message);
}

/** @throws ConfigurationError naming the file that cannot be read or is no certificate. */
export function createServerCredentials(tls: ResolvedEngineOptions['tls']): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const certChain = readPem('tls.certPath', tls.certPath);
  const privateKey = readPem('tls.keyPath', tls.keyPath);
  const ca = tls.caPath === undefined ? null : readPem('tls.caPath', tls.caPath);
  return ServerCredentials.createSsl(ca, [{ cert_chain: certChain, private_key: privateKey }], ca !== null);
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw new ConfigurationError(option, `cannot be read (${code ?? 'error'})`, { cause });
  }
}
