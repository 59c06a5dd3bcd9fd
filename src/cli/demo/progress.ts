/** How far the demo is: a bar on a terminal, a line every tenth elsewhere, nothing where JSON is wanted. */

import { SingleBar } from 'cli-progress';
import type { Terminal } from '../terminal.js';
import { count } from './report.js';
import type { ScenarioProgress } from './scenario.js';

export function createProgress(terminal: Terminal, isSilent: boolean): ScenarioProgress {
  if (isSilent) return { start: () => undefined, update: () => undefined, stop: () => undefined };
  return terminal.isInteractive ? createBar(terminal) : createLines(terminal);
}

function createBar(terminal: Terminal): ScenarioProgress {
  const bar = new SingleBar({
    format: `  ${terminal.paint('cyan', '{bar}')} {percentage}%  {answered} of {all}  ${terminal.paint('dim', '{phase}')}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    fps: 10,
    stream: terminal.out,
    hideCursor: true,
    // Signals are the command's business.
    gracefulExit: false,
  });
  const payload = (answered: number, phase: string): object => ({ answered: count(answered), phase });
  return {
    start: (total) => bar.start(total, 0, { ...payload(0, ''), all: count(total) }),
    update: (answered, phase) => bar.update(answered, payload(answered, phase)),
    stop: () => bar.stop(),
  };
}

function createLines(terminal: Terminal): ScenarioProgress {
  let total = 0;
  let told = 0;
  return {
    start: (all) => {
      total = all;
    },
    update: (answered, phase) => {
      const tenths = Math.floor((answered * 10) / total);
      if (tenths <= told) return;
      told = tenths;
      terminal.line(`${String(tenths * 10).padStart(3)}%  ${count(answered)} of ${count(total)} answered, ${phase}`);
    },
    stop: () => undefined,
  };
}
