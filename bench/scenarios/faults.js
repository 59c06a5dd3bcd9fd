/** What befalls the primary, and what it takes to make it so. */
import { Server } from '../lib/processes.js';

const ENGINE = 'servers/engine-server.js';
const PROXY = 'servers/proxy.js';

/**
 * A primary that something can happen to.
 * @typedef {object} Primary
 * @property {string} address
 * @property {() => Promise<void>} strike resolves when it has happened
 * @property {() => Promise<void>} stop
 */

/** @typedef {keyof typeof faults} FaultName */

export const faults = {
  SIGKILL: () => bySignal('SIGKILL'),
  SIGSTOP: () => bySignal('SIGSTOP'),
  GOAWAY: () => byEngine((engine) => engine.command('drain')),
  restart: startRestarting,
  RST: () => byProxy('reset'),
  cut: () => byProxy('reset'),
  blackhole: () => byProxy('blackhole'),
};

export const faultTitles = {
  SIGKILL: 'the primary is killed',
  SIGSTOP: 'the primary is frozen',
  GOAWAY: 'the primary drains and leaves',
  restart: 'the primary is killed and starts again',
  RST: 'the connections are reset, the primary lives',
  cut: 'the connections are reset, there is no backup',
  blackhole: 'the network swallows everything',
};

/** @param {NodeJS.Signals} signal */
function bySignal(signal) {
  return byEngine((engine) => {
    engine.kill(signal);
    return Promise.resolve();
  });
}

/**
 * @param {(engine: Server) => Promise<void>} strike
 * @returns {Promise<Primary>}
 */
async function byEngine(strike) {
  const engine = await Server.start(ENGINE);
  return { address: engine.address, strike: () => strike(engine), stop: () => end(engine) };
}

/**
 * One that is frozen could not hear that it is to go.
 * @param {Server} engine
 */
async function end(engine) {
  engine.kill('SIGKILL');
  await engine.stop();
}

/** @returns {Promise<Primary>} killed, and started again at once on the same port */
async function startRestarting() {
  const engine = await Server.start(ENGINE);
  /** @type {Server | undefined} */
  let again;
  return {
    address: engine.address,
    strike: async () => {
      engine.kill('SIGKILL');
      await engine.stop();
      again = await Server.start(ENGINE, [String(engine.port)]);
    },
    stop: async () => {
      await Promise.all([engine.stop(), again?.stop()]);
    },
  };
}

/**
 * @param {'reset' | 'blackhole'} command
 * @returns {Promise<Primary>}
 */
async function byProxy(command) {
  const engine = await Server.start(ENGINE);
  const proxy = await Server.start(PROXY, [String(engine.port)]);
  return {
    address: proxy.address,
    strike: () => proxy.command(command),
    stop: async () => {
      await Promise.all([proxy.stop(), engine.stop()]);
    },
  };
}
