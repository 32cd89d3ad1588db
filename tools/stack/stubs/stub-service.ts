/**
 * A service that is none: it says who it is, so that tests of the stack can be about the stack
 * alone. It runs from the source, without a build, and so imports nothing of ours.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  const settings = Object.entries(process.env).filter(
    ([name]) => name.startsWith('SBP_') || name.startsWith('STUB_'),
  );
  response.setHeader('Content-Type', 'application/json');
  response.end(
    JSON.stringify({ pid: process.pid, path: request.url, env: Object.fromEntries(settings) }),
  );
});
server.listen(Number(process.env['SBP_PORT']), process.env['SBP_HOST'], () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ level: 30, listening: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
