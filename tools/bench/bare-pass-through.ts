// The least that a pass-through in Node can be: what the server's own is measured against. Its upstream is the first argument.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const upstream = new Pool(process.argv[2] ?? '', { connections: 256 });

const server = createServer((request, response) => {
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const { url: path = '/', method = 'GET' } = request;
  upstream
    .stream({ path, method, headers, body: request, opaque: response }, ({ statusCode, headers: answered, opaque }) => {
      const { connection: _theirs, 'keep-alive': _idle, 'transfer-encoding': _framing, ...passed } = answered;
      return (opaque as typeof response).writeHead(statusCode, passed);
    })
    .catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ listening: `http://127.0.0.1:${port}` })}\n`);
});
