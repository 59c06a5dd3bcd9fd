/** Tests that need programs of the system: in CI they must be there, elsewhere such a test says what it misses. */

import { test } from 'vitest';
import { hasProgram } from './programs.js';

const isCi = !['', '0', 'false'].includes(process.env['CI'] ?? '');

/** `test`, for what needs these programs. */
export function testWith(...programs: string[]): (title: string, body: () => Promise<void>, limitMs?: number) => void {
  return (title, body, limitMs) => {
    test(
      title,
      async (context) => {
        const missing = programs.filter((program) => !hasProgram(program));
        if (missing.length > 0) {
          const reason = `not installed: ${missing.join(', ')}`;
          if (isCi) throw new Error(reason);
          context.skip(reason);
        }
        await body();
      },
      limitMs,
    );
  };
}
