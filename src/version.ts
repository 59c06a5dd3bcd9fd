/** Written here and not read at run time, where a bundler has left no package.json to read; a test holds the two to one another. */
export const VERSION = '0.1.0';

/** As it is installed. */
export const PACKAGE_NAME = '@authz-engine/grpc-client';

/** How servers see the client in their logs. */
export const USER_AGENT = `authz-engine-grpc-client/${VERSION}`;
