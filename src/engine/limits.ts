/** Every bound of the engine in one place. What reaches one is refused with a typed error, never cut short. */

/** Actions in one check. */
export const MAX_ACTIONS = 1_000;
/** Requests in one batch. */
export const MAX_BATCH_REQUESTS = 10_000;
/** Nesting of attributes and context. */
export const MAX_STRUCT_DEPTH = 32;
/** Answers of one stream held back by `latencyMs`; at that many the stream is no longer read. */
export const MAX_DELAYED_ANSWERS = 10_000;
/** Response bytes of one stream given to HTTP/2 and not yet flushed; at that many the stream is no longer read. */
export const MAX_UNFLUSHED_BYTES = 256 * 1024;
/** Calls open on one connection. */
export const MAX_CONCURRENT_STREAMS = 1_000;
/** Health Watch calls open at once. */
export const MAX_HEALTH_WATCHES = 1_000;
/** Management calls waiting for the one that is being worked on. */
export const MAX_PENDING_LOADS = 16;

/** Bytes of one policy document, whether a file, a URL's answer or inline. */
export const MAX_POLICY_BYTES = 1024 * 1024;
/** Bytes of all documents of one load. */
export const MAX_TOTAL_POLICY_BYTES = 16 * 1024 * 1024;
/** Documents of one load. */
export const MAX_POLICY_DOCUMENTS = 1_000;
/** Rules of one policy. */
export const MAX_RULES = 1_000;
/** Actions, or roles, of one rule. */
export const MAX_RULE_ENTRIES = 1_000;
/** Characters of a name, a kind, an action, a role. */
export const MAX_NAME_LENGTH = 256;
/** Characters of a condition. */
export const MAX_CONDITION_LENGTH = 8_192;
/** Problems reported for one load. */
export const MAX_REPORTED_ERRORS = 100;
/** Uses of YAML aliases in one document, against documents that unfold without end. */
export const MAX_YAML_ALIASES = 100;
/** Milliseconds a policy URL may take, headers and body together. */
export const POLICY_URL_TIMEOUT_MS = 10_000;
