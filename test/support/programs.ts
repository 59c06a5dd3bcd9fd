/** Which programs this machine has. */

import { spawnSync } from 'node:child_process';

const found = new Map<string, boolean>();

/** Whether the shell finds it; where administrators have their programs, too. */
export function hasProgram(name: string): boolean {
  let has = found.get(name);
  if (has === undefined) {
    has = spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${name}`]).status === 0;
    found.set(name, has);
  }
  return has;
}
