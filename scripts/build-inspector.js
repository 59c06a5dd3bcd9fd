// The inspector's page: bundled ahead, so that the package needs none of what it is made of, and the browser nothing but this server.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { layOutCharts } from './lay-out-charts.js';

const source = new URL('../src/inspect/page/', import.meta.url);
const target = new URL('../dist/src/inspect/page/', import.meta.url);

mkdirSync(target, { recursive: true });
await build({
  absWorkingDir: fileURLToPath(source),
  entryPoints: [
    { in: 'main.tsx', out: 'page' },
    { in: 'page.css', out: 'page' },
  ],
  outdir: fileURLToPath(target),
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  // Those of the last two years: light-dark() needs no less.
  target: ['chrome123', 'firefox120', 'safari17.5'],
  legalComments: 'none',
  logLevel: 'warning',
});
copyFileSync(new URL('index.html', source), new URL('index.html', target));
writeFileSync(new URL('charts.json', target), JSON.stringify(await layOutCharts()));
