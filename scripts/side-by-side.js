// Runs commands at the same time, says what each said when it has ended, and fails when one of them did: `side-by-side.js 'a && b' c`.
import { spawn } from 'node:child_process';

/**
 * @param {string} command of a shell
 * @returns {Promise<boolean>} whether it succeeded
 */
function run(command) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
    /** @type {Buffer[]} */
    const said = [];
    child.stdout.on('data', (/** @type {Buffer} */ chunk) => said.push(chunk));
    child.stderr.on('data', (/** @type {Buffer} */ chunk) => said.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.stdout.write(Buffer.concat(said));
      if (code !== 0) process.stdout.write(`${command}: failed, ${signal ?? `exit code ${code}`}\n`);
      resolve(code === 0);
    });
  });
}

const succeeded = await Promise.all(process.argv.slice(2).map(run));
if (succeeded.includes(false)) process.exitCode = 1;
