/** Where a command writes, and whether in colour. */

import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

export interface Terminal {
  readonly out: NodeJS.WriteStream;
  readonly isInteractive: boolean;
  /** The text in that style where colours are wanted, else the text. */
  paint(style: Style, text: string): string;
  line(text?: string): void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Colours on a terminal only, and never against https://no-color.org. */
export function wantsColor(isTerminal: boolean, environment: Environment): boolean {
  return isTerminal && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}

export function createTerminal(
  out: NodeJS.WriteStream = process.stdout,
  environment: Environment = process.env,
): Terminal {
  // The types promise a boolean; a pipe or a file has none.
  const isTerminal = (out.isTTY as boolean | undefined) === true;
  const isColored = wantsColor(isTerminal, environment);
  return {
    out,
    isInteractive: isTerminal && environment['TERM'] !== 'dumb',
    // `validateStream` would look at stdout whatever is written to.
    paint: (style, text) => (isColored ? styleText(style, text, { validateStream: false }) : text),
    line: (text = '') => void out.write(`${text}\n`),
  };
}

/** `09:05:07.042`, in local time. */
export function timeOfDay(time: Date): string {
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0'));
  return `${clock.join(':')}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

/** Columns as wide as their widest cell. `paint` colours a cell after it was measured. */
export function formatTable(
  rows: readonly (readonly string[])[],
  paint: (cell: string, row: number, column: number) => string = (cell) => cell,
): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  return rows.map((cells, row) =>
    cells
      .map((cell, column) => {
        const padding = column === cells.length - 1 ? '' : ' '.repeat((widths[column] ?? 0) - cell.length);
        return paint(cell, row, column) + padding;
      })
      .join('  ')
      .trimEnd(),
  );
}
