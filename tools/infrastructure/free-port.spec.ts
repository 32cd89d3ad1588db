import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePort } from './free-port.js';

const only = (port: number) => ({ from: port, to: port + 1 });

describe('a free port', () => {
  it('is given once, while nobody listens on it', async () => {
    const port = await freePort();
    await expect(freePort(only(port))).rejects.toThrow(/no free port/);
  });

  it('is not one that another process was given, which may be down for a moment', async () => {
    // Another process has reserved it so.
    const other = createSocket('udp4').bind(0, '127.0.0.1');
    await once(other, 'listening');
    await expect(freePort(only(other.address().port))).rejects.toThrow(/no free port/);
    other.close();
  });

  it('is not one that somebody listens on', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(freePort(only(port))).rejects.toThrow(/no free port/);
    server.close();
  });
});
