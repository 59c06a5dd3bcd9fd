import v8 from 'node:v8';
import vm from 'node:vm';

let gc: (() => void) | undefined;

/** Collects all garbage, in a process that was not started with `--expose-gc`. */
export function collectGarbage(): void {
  if (gc === undefined) {
    v8.setFlagsFromString('--expose-gc');
    gc = vm.runInNewContext('gc') as () => void;
  }
  gc();
}
