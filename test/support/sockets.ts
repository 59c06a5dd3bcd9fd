/** What the kernel says about sockets: Node's own handle lists miss those that libraries hide. */

import { execFileSync } from 'node:child_process';

/** TCP sockets of this process whose peer is `port`, in any state the process still owns (dialling ones included). */
export function clientSocketsTo(port: number, pid = process.pid): number {
  const lines = execFileSync('ss', ['-tnpH', 'dport', '=', `:${port}`], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(`pid=${pid},`)).length;
}
