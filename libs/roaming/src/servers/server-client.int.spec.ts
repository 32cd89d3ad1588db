import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isPublicAddress, mayConnect } from './address-guard.js';
import { ServerClient } from './server-client.js';

const servers: Server[] = [];
const clients: ServerClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(handle: RequestListener): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}

function client(trusted: readonly string[], lookup?: LookupFunction, allowsPrivate = false) {
  const made = new ServerClient({
    ...{ trusted, allowsPrivate },
    ...(lookup === undefined ? {} : { lookup }),
  });
  clients.push(made);
  return made;
}

/** Names stand for these addresses, one after another. */
function resolving(...addresses: readonly string[]): LookupFunction {
  let asked = 0;
  return (_host, options, callback) => {
    const address = addresses[Math.min(asked++, addresses.length - 1)] ?? '';
    const family = address.includes(':') ? 6 : 4;
    if (options.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}

const ask = { method: 'GET', path: '/x' } as const;

describe('what another server may be asked', () => {
  // [SBP-L6-04]
  it('goes nowhere but to what was listed', async () => {
    let asked = 0;
    const port = await serve((_request, response) => {
      asked += 1;
      response.end('{}');
    });
    const base = `http://127.0.0.1:${port}`;
    expect((await client([base]).askJson(base, ask)).status).toBe(200);
    for (const other of [`http://localhost:${port}`, `${base}/v1`, `http://127.0.0.1:${port}@x`]) {
      await expect(client([base]).askJson(other, ask)).rejects.toMatchObject({
        code: 'SBP_UPSTREAM_UNAVAILABLE',
      });
    }
    expect(asked).toBe(1);
  });

  // [SBP-L6-04]
  it('follows no redirect', async () => {
    let asked = 0;
    const inner = await serve((_request, response) => {
      asked += 1;
      response.end('{"secret":1}');
    });
    const port = await serve((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${inner}/x` }).end();
    });
    const base = `http://127.0.0.1:${port}`;
    const { status, json } = await client([base]).askJson(base, ask);
    expect({ status, json, asked }).toEqual({ status: 302, json: null, asked: 0 });
  });

  // [SBP-L6-04]
  it('is refused where a name stands for a private address, at the time of connecting', async () => {
    let asked = 0;
    const port = await serve((_request, response) => {
      asked += 1;
      response.end('{}');
    });
    const base = `http://sbp.example:${port}`;
    for (const address of ['127.0.0.1', '::1', '10.0.0.1', '169.254.169.254', '::ffff:127.0.0.1']) {
      await expect(client([base], resolving(address)).askJson(base, ask)).rejects.toThrow(
        'not public',
      );
    }
    // A name that stood for a public address when somebody looked, and then for this machine.
    await expect(
      client([base], resolving('127.0.0.1', '93.184.216.34')).askJson(base, ask),
    ).rejects.toThrow('not public');
    expect(asked).toBe(0);
    const trusting = client([base], resolving('127.0.0.1'), true);
    expect((await trusting.askJson(base, ask)).status).toBe(200);
  });

  it('is read only as far as it is short, and never for long', async () => {
    const port = await serve((_request, response) => {
      response.end(`"${'x'.repeat(300_000)}"`);
    });
    const base = `http://127.0.0.1:${port}`;
    await expect(client([base]).askJson(base, ask)).rejects.toMatchObject({
      code: 'SBP_UPSTREAM_UNAVAILABLE',
    });
  });
});

describe('an address', () => {
  it.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.0.1'],
    ...['192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'fc00::1'],
    ...['fe80::1', 'fec0::1', 'feff::1', 'ff02::1', '::ffff:10.0.0.1', '::ffff:7f00:1', 'x', ''],
    // Addresses of version 4 within one of version 6.
    ...['::7f00:1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1', '64:ff9b:1:ffff::1'],
    ...['2002:7f00:1::1', '2001::7f00:1'],
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false);
    expect(mayConnect('sbp.example', address, false)).toBe(false);
  });

  it('that was listed itself may be connected to, and localhost on this machine', () => {
    expect(mayConnect('10.0.0.1', '10.0.0.1', false)).toBe(true);
    expect(mayConnect('[::1]', '::1', false)).toBe(true);
    expect(mayConnect('localhost', '127.0.0.1', false)).toBe(true);
    expect(mayConnect('localhost', '10.0.0.1', false)).toBe(false);
  });
});
