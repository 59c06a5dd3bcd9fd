/** Charts as SVG: horizontal bars, light or dark as the page is. Drawn by hand, for a bar is a rectangle and a chart of bars is a list of them. */
import { number } from './tables.js';

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {boolean} isOurs
 * @property {import('./statistics.js').Figure} figure
 */

const WIDTH = 860;
const LABEL_WIDTH = 350;
const VALUE_WIDTH = 90;
const BAR_HEIGHT = 16;
const ROW_HEIGHT = 26;
const TOP = 56;
const BOTTOM = 14;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .sub { fill: #59636e; font-size: 12px }
  .rival { fill: #9aa4af }
  .ours { fill: #0969da }
  .spread { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .sub { fill: #9198a1 }
    .rival { fill: #656c76 }
    .ours { fill: #4493f8 }
    .spread { stroke: #e6edf3 }
  }`;

/** @param {string} text */
function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/**
 * @param {string} title
 * @param {string} subtitle
 * @param {readonly Bar[]} bars
 * @returns {string}
 */
function drawBars(title, subtitle, bars) {
  const height = TOP + bars.length * ROW_HEIGHT + BOTTOM;
  const most = Math.max(...bars.map(({ figure }) => figure.max));
  const scale = (/** @type {number} */ value) => (value / most) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH);
  const rows = bars.map(({ label, isOurs, figure }, index) => {
    const top = TOP + index * ROW_HEIGHT;
    const middle = top + BAR_HEIGHT / 2;
    const from = (LABEL_WIDTH + scale(figure.min)).toFixed(1);
    const to = (LABEL_WIDTH + scale(figure.max)).toFixed(1);
    return [
      `<text x="${LABEL_WIDTH - 8}" y="${top + 13}" text-anchor="end">${escape(label)}</text>`,
      `<rect class="${isOurs ? 'ours' : 'rival'}" x="${LABEL_WIDTH}" y="${top}" width="${Math.max(1, scale(figure.median)).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<line class="spread" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${(Number(to) + 8).toFixed(1)}" y="${top + 13}">${number(figure.median, figure.median < 100 ? 1 : 0)}</text>`,
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="12" y="24">${escape(title)}</text>`,
    `<text class="sub" x="12" y="42">${escape(subtitle)}</text>`,
    ...rows,
    '</svg>',
    '',
  ].join('\n');
}

/** @typedef {import('./aims.js').Result} Result */

/**
 * What it costs to be looked at is for the aims to tell.
 *
 * @param {Result['load']} load
 */
function isLookedAt(load) {
  return load?.inspected === true || load?.page !== undefined;
}

/**
 * Under load, and a client: beside the wire without a codec, which is none, the others could not be told apart.
 *
 * @param {Result} result
 */
function isSteadyClient({ heat, load, kind }) {
  return heat === 'steady' && kind !== 'limit' && !isLookedAt(load) && (load?.inFlight ?? 0) > 1;
}

/** @type {readonly { file: string, title: string, figure: string, unit: string, isIn: (result: Result) => boolean }[]} */
const charts = [
  {
    file: 'throughput.svg',
    title: 'Checks per second',
    figure: 'checksPerSecond',
    unit: 'checks/s, more is better',
    isIn: isSteadyClient,
  },
  {
    file: 'cpu.svg',
    title: 'Client CPU per check',
    figure: 'clientCpuUsPerCheck',
    unit: 'µs, less is better',
    isIn: isSteadyClient,
  },
  {
    file: 'in-flight.svg',
    title: 'Checks per second, by how many are in flight',
    figure: 'checksPerSecond',
    unit: 'checks/s, more is better; the rows are of several heats',
    isIn: ({ heat, load, client, kind }) =>
      (heat === 'steady' || heat === 'in-flight' || heat === 'one-at-a-time') &&
      kind !== 'limit' &&
      !isLookedAt(load) &&
      (client === 'check()' || client === 'grpc-js unary' || load?.streams === 8) &&
      !(client?.includes('connect') ?? false) &&
      !(client?.includes('nice') ?? false),
  },
  {
    file: 'size.svg',
    title: 'Checks per second, requests of 2 KiB with attributes',
    figure: 'checksPerSecond',
    unit: 'checks/s, more is better',
    isIn: ({ heat }) => heat === 'size',
  },
];

/**
 * @param {import('./document.js').Document} document
 * @returns {{ file: string, title: string, svg: string }[]} those that there are figures for
 */
export function renderCharts({ results, seconds, rounds, machine }) {
  return charts.flatMap(({ file, title, figure, unit, isIn }) => {
    const bars = Object.values(results)
      .filter((result) => isIn(result))
      .flatMap(({ title: name, transport, kind, figures, client, load }) => {
        const value = figures[figure];
        const label = transport === undefined ? name : `${name}, ${transport}`;
        return value === undefined ? [] : [{ label, isOurs: kind === 'ours', figure: value, client, load }];
      });
    if (bars.length === 0) return [];
    const order =
      file === 'in-flight.svg'
        ? bars.sort((a, b) => (a.load?.inFlight ?? 0) - (b.load?.inFlight ?? 0))
        : bars.sort((a, b) => (unit.includes('less') ? 1 : -1) * (a.figure.median - b.figure.median));
    const subtitle = `${unit}; medians and range of ${rounds} windows of ${seconds} s, ${machine.cores} cores, Node ${machine.node}`;
    return [{ file, title, svg: drawBars(title, subtitle, order) }];
  });
}
