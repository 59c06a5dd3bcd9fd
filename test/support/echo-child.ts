/** An echo server as a process of its own, to be killed or frozen. Prints its port. */

import { EchoServer } from './echo-server.js';

const server = await EchoServer.listen();
process.stdout.write(`${server.port}\n`);
