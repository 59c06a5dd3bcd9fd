#!/usr/bin/env node
/** The executable. */

import { reportFailure, reportWarning, run } from './program.js';

// `authz watch | head` is no failure worth a word; 128 + SIGPIPE is what a shell expects of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(141);
  throw error;
});
process.removeAllListeners('warning');
process.on('warning', reportWarning);
process.on('uncaughtException', (error) => {
  reportFailure(error);
  process.exit(2);
});

process.exitCode = await run(process.argv.slice(2));
