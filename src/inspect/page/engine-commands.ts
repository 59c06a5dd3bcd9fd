/** What the page may ask of the demo's engines. */

export type EngineCommand = 'kill' | 'freeze' | 'revive';

/** Longer than a process takes to start. */
const LIMIT_MS = 15_000;

/** Resolves with why it failed; null when it did not. */
export async function commandEngine(
  command: EngineCommand,
  address: string,
  token: string,
  fetch = globalThis.fetch,
): Promise<string | null> {
  try {
    const response = await fetch(`/engines/${command}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ address }),
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    return response.ok ? null : `${command} was refused: ${await messageOf(response)}`;
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    return isLate ? `${command}: no answer within ${LIMIT_MS / 1_000} s` : `${command}: the server cannot be reached`;
  }
}

async function messageOf(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { readonly error?: { readonly message?: unknown } };
    if (typeof error?.message === 'string') return error.message.slice(0, 200);
  } catch {
    // Whatever answered, it was not the inspector.
  }
  return `the server answered ${response.status}`;
}
