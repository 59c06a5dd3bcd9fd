/** What lies beside the code, found by walking up from it: the build is two folders deeper than the sources. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE_NAME = '@authz-engine/grpc-client';

/** The package's own folder. */
function packageRoot(): string {
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    const file = join(directory, 'package.json');
    if (existsSync(file)) {
      const { name } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string };
      if (name === PACKAGE_NAME) return directory;
    }
    if (dirname(directory) === directory) throw new Error(`no package.json of ${PACKAGE_NAME} above the command line`);
  }
}

/** The example policies; undefined where there are none: they are in the repository and not in the npm package. */
export function examplePolicies(): string | undefined {
  const directory = join(packageRoot(), 'examples', 'policies');
  return existsSync(directory) ? directory : undefined;
}
