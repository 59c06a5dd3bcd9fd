/** Builds the package when its sources are newer than what is built: the minute of `--quick` has no time for more. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILT = path.join(ROOT, 'dist/src/index.js');
const SOURCES = ['src', 'machines', 'proto', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/**
 * @param {string} entry a file or folder
 * @returns {number} when it or anything in it was changed last
 */
function changedMs(entry) {
  const status = statSync(entry);
  if (!status.isDirectory()) return status.mtimeMs;
  // The folder's own time tells of files that were removed.
  return Math.max(status.mtimeMs, ...readdirSync(entry).map((name) => changedMs(path.join(entry, name))));
}

export function buildIfStale() {
  const changed = Math.max(...SOURCES.map((source) => changedMs(path.join(ROOT, source))));
  if (existsSync(BUILT) && statSync(BUILT).mtimeMs > changed) return;
  process.stderr.write('The sources have changed: building the package.\n');
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    console.error('The package could not be built.');
    process.exit(1);
  }
}
