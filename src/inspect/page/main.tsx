/** Starts the page: reads the stream into the model, and draws at most once per frame of the screen. */

import { render } from 'preact';
import type { ChartView } from '../protocol.js';
import type { ChartsState } from './actor-panel.js';
import { App } from './app.js';
import { Feed, type FeedState } from './feed.js';
import { Model } from './model.js';
import { tokenOf } from './ui.js';

const root = document.getElementById('root') as HTMLElement;
const model = new Model();
let feedState: FeedState = { kind: 'connecting' };
let charts: ChartsState = { kind: 'loading' };
let isScheduled = false;

const feed = new Feed({
  token: tokenOf(location.hash),
  onMessage: (message) => {
    model.apply(message);
    schedule();
  },
  onState: (state) => {
    feedState = state;
    if (charts.kind === 'failed' && state.kind === 'live') void loadCharts();
    schedule();
  },
  ports: {
    fetch: (url, init) => fetch(url, init),
    now: () => performance.now(),
    after: (delayMs, callback) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  },
});

function draw(): void {
  isScheduled = false;
  render(<App model={model} feed={feed} feedState={feedState} charts={charts} />, root);
}

/** While nobody looks, the browser draws no frames, and neither does the page. */
function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(draw);
}

async function loadCharts(): Promise<void> {
  try {
    const response = await fetch('/charts.json');
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    charts = { kind: 'loaded', charts: (await response.json()) as Record<string, ChartView> };
  } catch {
    charts = { kind: 'failed' };
  }
  schedule();
}

// Another token in the address is another inspector: begin anew.
addEventListener('hashchange', () => location.reload());
feed.start();
void loadCharts();
schedule();
