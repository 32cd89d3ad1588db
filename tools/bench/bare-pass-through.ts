// The least that a pass-through in Node can be: what the server's own is measured against. Its
// upstream is the first argument.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const upstream = new Pool(process.argv[2] ?? '', { connections: 256 });
const HOP_BY_HOP = new Set(['host', 'connection', 'keep-alive', 'transfer-encoding']);
const endToEnd = <T>(headers: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));

const server = createServer((request, response) => {
  const { url: path = '/', method = 'GET' } = request;
  const headers = endToEnd(request.headers);
  upstream
    .stream({ path, method, headers, body: request }, (answer) =>
      response.writeHead(answer.statusCode, endToEnd(answer.headers)),
    )
    .catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ listening: `http://127.0.0.1:${port}` })}\n`);
});
