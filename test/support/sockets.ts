/** What the kernel says about sockets: Node's own handle lists miss those that libraries hide. Linux. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** TCP sockets of a process whose peer is `port`, in any state that the process still owns (dialling ones included). */
export function clientSocketsTo(port: number, pid = process.pid): number {
  const owned = inodesOf(pid);
  return tcpTable(pid).filter((socket) => socket.peerPort === port && owned.has(socket.inode)).length;
}

function inodesOf(pid: number): Set<string> {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
  return new Set(inodes);
}

/** See proc_net_tcp of the kernel's documentation: the peer as hexadecimal `address:port` in the third field, the inode in the tenth. */
function tcpTable(pid: number): { peerPort: number; inode: string }[] {
  return ['tcp', 'tcp6'].flatMap((table) => {
    const [, ...rows] = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trimEnd().split('\n');
    return rows.map((row) => {
      const fields = row.trim().split(/\s+/);
      const [, port = ''] = fields[2]?.split(':') ?? [];
      return { peerPort: Number.parseInt(port, 16), inode: fields[9] ?? '' };
    });
  });
}
