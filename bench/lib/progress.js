import { SingleBar } from 'cli-progress';

/**
 * @typedef {object} Progress
 * @property {(what: string) => void} begin
 * @property {(outcome: string) => void} done
 * @property {() => void} stop
 */

/**
 * On stderr, so that stdout stays the report: a bar on a terminal, else a line per run.
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
      done: (outcome) => stderr.write(`${what}: ${outcome}\n`),
      stop: () => undefined,
    };
  }
  const bar = new SingleBar({
    format: '[{bar}] {value}/{total}  {what}',
    stream: stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(total, 0, { what: '' });
  return {
    begin: (what) => bar.update({ what }),
    done: (outcome) => bar.increment(1, { what: outcome }),
    stop: () => bar.stop(),
  };
}
