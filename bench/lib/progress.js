import { SingleBar } from 'cli-progress';

/**
 * @typedef {object} Progress
 * @property {(what: string) => void} begin
 * @property {(what: string) => void} note how far it is
 * @property {(outcome: string) => void} done with what was begun last, which counts as one step
 * @property {() => void} stop
 */

/**
 * On stderr, so that stdout stays the report: a bar on a terminal, else a line per run with the time since the start.
 * @param {number} total
 * @returns {Progress}
 */
export function createProgress(total) {
  const { stderr } = process;
  if (!stderr.isTTY) {
    let what = '';
    return {
      begin: (next) => {
        what = next;
      },
      note: () => undefined,
      done: (outcome) => stderr.write(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${what}: ${outcome}\n`),
      stop: () => undefined,
    };
  }
  const bar = new SingleBar({
    format: '[{bar}] {value}/{total}  {what}',
    stream: stderr,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
  bar.start(total, 0, { what: '' });
  const tell = (/** @type {string} */ what) => bar.update({ what });
  return {
    begin: tell,
    note: tell,
    done: (outcome) => bar.increment(1, { what: outcome }),
    stop: () => bar.stop(),
  };
}
