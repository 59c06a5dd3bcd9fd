/** The built package, typed by its sources: what is measured is what is published, and the benchmark can be checked before a build. */

/** @returns {Promise<typeof import('../../src/index.js')>} */
export function loadPackage() {
  return load('index.js');
}

/** @returns {Promise<typeof import('../../src/engine/index.js')>} */
export function loadEngine() {
  return load('engine/index.js');
}

/** @returns {Promise<typeof import('../../src/inspect/index.js')>} */
export function loadInspect() {
  return load('inspect/index.js');
}

/**
 * @param {string} file
 * @returns {Promise<any>}
 */
function load(file) {
  return import(new URL(`../../dist/src/${file}`, import.meta.url).href);
}
