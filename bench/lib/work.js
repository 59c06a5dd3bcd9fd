/**
 * The one unit of work of every workload: a CheckRequest of about 64 bytes, or of about 2 KiB with attributes and context, and the
 * answer's verdict. Bodies are cycled and made anew for each request, so that a client that remembers what it encoded last gains nothing it
 * would not gain in earnest. The attributes alone are shared between requests, as those of a session are in a service.
 */

/**
 * @typedef {object} Body
 * @property {{ id: string, roles: string[], attributes?: Record<string, unknown> }} principal
 * @property {{ kind: string, id: string, attributes?: Record<string, unknown> }} resource
 * @property {string[]} actions
 * @property {Record<string, unknown>} [context]
 */

/** @typedef {'small' | 'large'} Size */

const BODIES = 1024;
const FIRST_ID = 1_000_000;

/**
 * About 2 KiB on the wire: what a service that decides by attributes sends. Every kind of JSON value is among them.
 * @param {number} index
 */
function largeAttributes(index) {
  return {
    principal: {
      department: `department-${index % 16}`,
      region: 'eu-central-1',
      clearance: 3 + (index % 4),
      employedSince: '2019-04-01',
      isContractor: index % 5 === 0,
      teams: Array.from({ length: 8 }, (_, team) => `team-${(index * 3 + team) % 40}`),
      grants: { projects: ['apollo', 'gemini', 'mercury'], limit: 25_000.5, approver: `u${900 + (index % 90)}` },
      email: `person-${index}@corporation.example`,
    },
    resource: {
      owner: `u${1000 + ((index * 13) % BODIES)}`,
      title: `Quarterly figures of branch ${index}, and what the board ought to know about them before it meets`,
      labels: Array.from({ length: 10 }, (_, label) => `label-${(index + label * 7) % 100}`),
      folder: { path: `/shared/finance/branches/${index}/reports/quarterly`, depth: 6, isShared: true },
      size: 1_048_576 + index,
      digest: `sha256:${'0123456789abcdef'.repeat(4)}`,
      sharedWith: Array.from({ length: 12 }, (_, share) => `u${1000 + ((index + share * 31) % BODIES)}`),
      isDraft: index % 2 === 0,
      archivedAt: null,
      revisions: Array.from({ length: 16 }, (_, revision) => ({ number: revision + 1, by: `u${1000 + revision}` })),
    },
    context: {
      ip: `10.1.${index % 250}.17`,
      time: '2026-03-01T12:00:00.000Z',
      userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36',
      isMfa: true,
      risk: 0.125 + (index % 8) / 16,
      session: { id: `session-${index * 7919}`, ageSeconds: 600 + index, device: { os: 'linux', isManaged: true } },
    },
  };
}

/**
 * @param {Size} size
 * @returns {() => Body} each call gives the next body, without a request id, for calls that make their own
 */
export function createBodies(size) {
  const numbers = Array.from({ length: BODIES }, (_, index) => ({
    principalId: `u${1000 + index}`,
    resourceId: `d${100 + ((index * 7) % 900)}`,
    attributes: size === 'large' ? largeAttributes(index) : undefined,
  }));
  let made = 0;
  return () => {
    const { principalId, resourceId, attributes } = /** @type {typeof numbers[number]} */ (numbers[made++ % BODIES]);
    if (attributes === undefined) {
      return {
        principal: { id: principalId, roles: ['editor', 'staff'] },
        resource: { kind: 'document', id: resourceId },
        actions: ['read', 'edit'],
      };
    }
    return {
      principal: { id: principalId, roles: ['editor', 'staff'], attributes: attributes.principal },
      resource: { kind: 'document', id: resourceId, attributes: attributes.resource },
      actions: ['read', 'edit'],
      context: attributes.context,
    };
  };
}

/**
 * @param {Size} size
 * @returns {() => Body & { requestId: string }} each call gives a request with an id that no other of this process has
 */
export function createRequests(size) {
  const nextBody = createBodies(size);
  let id = FIRST_ID;
  return () => /** @type {Body & { requestId: string }} */ ({ requestId: `r${id++}`, ...nextBody() });
}
