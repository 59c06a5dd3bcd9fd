/** What the heap of this process has room for. */

import { getHeapStatistics } from 'node:v8';

/**
 * As many as usual, or as few as a small heap has room for; at least one.
 * @param bytesEach of the heap that each may take
 * @param heapBytes Default: the limit that this process was started with.
 */
export function withinHeap(usual: number, bytesEach: number, heapBytes = getHeapStatistics().heap_size_limit): number {
  return Math.max(1, Math.min(usual, Math.floor(heapBytes / bytesEach)));
}
