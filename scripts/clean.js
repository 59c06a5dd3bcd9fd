// A removed source file must not live on in a package, so every build starts from an empty folder: `dist`, or the one that is named.
import { rmSync } from 'node:fs';

rmSync(new URL(`../${process.argv[2] ?? 'dist'}`, import.meta.url), { recursive: true, force: true });
