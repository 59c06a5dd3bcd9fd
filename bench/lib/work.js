/**
 * The one unit of work of every workload: a CheckRequest of about 64 bytes and the answer's verdict.
 * Bodies are cycled, so that a client that remembers what it encoded last gains nothing it would not gain in earnest.
 */

/**
 * @typedef {object} Body
 * @property {{ id: string, roles: string[] }} principal
 * @property {{ kind: string, id: string }} resource
 * @property {string[]} actions
 */

const BODIES = 1024;

/** @type {Body[]} */
const bodies = Array.from({ length: BODIES }, (_, index) => ({
  principal: { id: `u${1000 + index}`, roles: ['editor', 'staff'] },
  resource: { kind: 'document', id: `d${100 + ((index * 7) % 900)}` },
  actions: ['read', 'edit'],
}));

const FIRST_ID = 1_000_000;
let sent = 0;

/** @returns {Body} a body without a request id, for calls that make their own */
export function nextBody() {
  const body = bodies[sent++ % BODIES];
  if (body === undefined) throw new RangeError('the bodies are cycled by their number');
  return body;
}

/** @returns {Body & { requestId: string }} a request with an id that no other of this process has */
export function nextRequest() {
  const requestId = `r${FIRST_ID + sent}`;
  const { principal, resource, actions } = nextBody();
  return { requestId, principal, resource, actions };
}
