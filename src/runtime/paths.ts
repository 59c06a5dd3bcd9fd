/** The rpcs of the wire contract. */
export const CHECK = '/authz.v1.AuthzService/Check';
export const CHECK_BATCH = '/authz.v1.AuthzService/CheckBatch';
export const CHECK_STREAM = '/authz.v1.AuthzService/CheckStream';
export const LOAD_POLICIES = '/authz.v1.AuthzService/LoadPolicies';
export const RELOAD_POLICIES = '/authz.v1.AuthzService/ReloadPolicies';
export const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
export const HEALTH_WATCH = '/grpc.health.v1.Health/Watch';
