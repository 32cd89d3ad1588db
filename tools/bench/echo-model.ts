// A model that answers at once, reads no more of a request than its bytes, and keeps the last one,
// so that the same can be asked of it directly: GET /last-request is that body.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** As long as a short paragraph. */
const CONTENT = 'Certainly: this is an answer of the length that answers have. '.repeat(4);
const ANSWER = JSON.stringify({
  id: 'e',
  object: 'chat.completion',
  model: 'e',
  choices: [{ index: 0, message: { role: 'assistant', content: CONTENT }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 60 },
});

let last: Buffer = Buffer.from('{}');

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    if (request.method === 'POST') last = Buffer.concat(parts);
    const body = request.method === 'POST' ? Buffer.from(ANSWER) : last;
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': body.length,
    });
    response.end(body);
  });
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ listening: `http://127.0.0.1:${port}` })}\n`);
});
