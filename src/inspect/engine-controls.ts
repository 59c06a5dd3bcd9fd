/** Engines that a page may kill, freeze and revive: the demo's own processes, and nobody else's. */

import type { IncomingMessage } from 'node:http';
import { Refusal } from './gate.js';
import type { EngineView } from './protocol.js';

export type { EngineView } from './protocol.js';

export type EngineCommand = 'kill' | 'freeze' | 'revive';

/** Who runs the engines. A command that is not carried out rejects with an {@link EngineCommandError}, which the page shows. */
export interface EngineControls {
  /** Asked eight times a second. */
  engines(): readonly EngineView[];
  kill(address: string): Promise<void>;
  freeze(address: string): Promise<void>;
  revive(address: string): Promise<void>;
}

/** Why a command was not carried out, and what to do instead. */
export class EngineCommandError extends Error {
  /** `STATE`: it has no meaning for an engine in this state. `BUSY`: too many wait. `UNKNOWN`: no such engine. `FAILED`: it was tried. */
  readonly code: `ERR_AUTHZ_ENGINE_${'STATE' | 'BUSY' | 'UNKNOWN' | 'FAILED'}`;

  constructor(message: string, code: EngineCommandError['code'], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EngineCommandError';
    this.code = code;
  }
}

const PATH = /^\/engines\/(kill|freeze|revive)$/;
/** More than any address takes. */
const MAX_BODY_BYTES = 1_024;

/** What the path asks for; undefined for any other. */
export function engineCommandOf(path: string): EngineCommand | undefined {
  return PATH.exec(path)?.[1] as EngineCommand | undefined;
}

/**
 * Does what is asked, and tells how the engines are then.
 * @throws Refusal for a body that is too long, no JSON, or names no engine of these, and for a command that is not carried out
 */
export async function commandEngine(
  controls: EngineControls,
  command: EngineCommand,
  request: IncomingMessage,
): Promise<readonly EngineView[]> {
  if (!/^application\/json\s*(?:;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'body', 'must be of the content type application/json');
  }
  const address = addressIn(await bodyOf(request));
  const known = controls.engines().map((engine) => engine.address);
  if (!known.includes(address)) throw new Refusal(404, 'body.address', `must be one of ${known.join(', ')}`);
  try {
    await controls[command](address);
  } catch (error) {
    if (!(error instanceof EngineCommandError)) throw error;
    throw new Refusal(409, 'engine', error.message);
  }
  return controls.engines();
}

function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      // What is left of it goes with the connection.
      request.pause();
      reject(new Refusal(413, 'body', `must be at most ${MAX_BODY_BYTES} bytes long`, { connection: 'close' }));
    });
    request.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.once('error', reject);
  });
}

function addressIn(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'body', 'must be JSON');
  }
  const address = typeof value === 'object' && value !== null && 'address' in value ? value.address : undefined;
  if (typeof address !== 'string') throw new Refusal(400, 'body.address', 'must be the address of an engine, a string');
  return address;
}
