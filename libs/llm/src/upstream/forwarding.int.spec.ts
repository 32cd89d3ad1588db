import { createServer as createSocketServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { textOf, useUpstream } from '../testing/test-upstream.js';
import { UpstreamUnavailable } from './upstream-errors.js';

describe('a model behind an OpenAI-compatible endpoint passes other requests on', () => {
  const { connectTo, listen, record } = useUpstream();
  const headers = {
    authorization: 'Bearer of-the-caller',
    'x-session-token': 'secret',
    'x-api-key': 'also-of-the-caller',
    cookie: 'a=b',
    origin: 'http://localhost:1',
    'x-forwarded-for': '127.0.0.1',
    'content-type': 'text/x-odd',
    'accept-encoding': 'br',
    'openai-beta': 'assistants=v2',
  };
  const { signal } = new AbortController();
  async function* parts(...texts: string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) {
      await new Promise((resolve) => setImmediate(resolve));
      yield Buffer.from(text);
    }
  }

  // [SBP-L1-50] [SBP-L1-51]
  it('with method, path, query, body and headers as they came, but the credentials', async () => {
    const { baseUrl, seen } = await record();
    const model = connectTo({ baseUrl: `${baseUrl}?version=3`, apiKey: 'sk-ours' });
    const path = '/files/a%2Fb?limit=2';
    const body = parts('one,', 'two');
    await textOf(await model.forward({ method: 'PATCH', path, headers, body, signal }));
    await textOf(
      await model.forward({ method: 'DELETE', path: '/x', headers: {}, body: null, signal }),
    );
    const [patch, remove] = seen;
    expect(patch?.request).toMatchObject({
      method: 'PATCH',
      url: '/v1/files/a%2Fb?limit=2&version=3',
    });
    expect(patch?.body).toBe('one,two');
    expect(patch?.request.headers).toMatchObject({
      authorization: 'Bearer sk-ours',
      'content-type': 'text/x-odd',
      'accept-encoding': 'br',
      'openai-beta': 'assistants=v2',
      'transfer-encoding': 'chunked',
      host: new URL(baseUrl).host,
    });
    const ended = ['cookie', 'x-session-token', 'x-api-key', 'origin', 'x-forwarded-for'];
    for (const name of ended) expect(patch?.request.headers).not.toHaveProperty(name);
    expect(remove).toMatchObject({ body: '', request: { method: 'DELETE' } });
  });

  // [SBP-L1-54]
  it('and never again once their body was begun', async () => {
    let requests = 0;
    const baseUrl = await listen(
      createSocketServer((socket) => {
        socket
          .on('error', () => undefined)
          .on('data', () => {
            requests += 1;
            if (requests === 2) socket.resetAndDestroy();
            else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          });
      }),
    );
    const model = connectTo({ baseUrl });
    const get = { method: 'GET', path: '/models', headers: {}, body: null, signal };
    await textOf(await model.forward(get));
    await new Promise((resolve) => setImmediate(resolve));
    const post = { method: 'POST', path: '/files', headers: {}, body: parts('a'), signal };
    await expect(model.forward(post)).rejects.toBeInstanceOf(UpstreamUnavailable);
    expect(requests).toBe(2);
  });
});
