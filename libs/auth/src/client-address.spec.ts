import { describe, expect, it } from 'vitest';
import { TrustedProxies, isNetwork } from './client-address.js';

function address(peer: string, forwarded: string | null, networks: readonly string[] = []) {
  const headers = forwarded === null ? {} : { 'x-forwarded-for': forwarded };
  const message = { socket: { remoteAddress: peer }, headers };
  type Message = Parameters<TrustedProxies['clientAddress']>[0];
  return new TrustedProxies(networks).clientAddress(message as unknown as Message);
}

describe('the address of a client', () => {
  it.each([
    ['198.51.100.7', '10.0.0.1', [], '198.51.100.7'],
    ['127.0.0.1', '198.51.100.7', [], '198.51.100.7'],
    ['::ffff:10.1.2.3', '198.51.100.7', ['10.0.0.0/8'], '198.51.100.7'],
    ['10.1.2.3', '1.2.3.4, 198.51.100.7, 10.9.9.9', ['10.0.0.0/8'], '198.51.100.7'],
    ['10.1.2.3', '198.51.100.7', ['10.0.0.1'], '10.1.2.3'],
    ['fd00::1', '198.51.100.7', ['fd00::/8'], '198.51.100.7'],
    ['10.1.2.3', 'nonsense', ['10.0.0.0/8'], '10.1.2.3'],
    ['10.1.2.3', null, ['10.0.0.0/8'], '10.1.2.3'],
  ])('behind %s that says %j, with %j trusted, is %s', (peer, forwarded, networks, client) => {
    expect(address(peer, forwarded, networks)).toBe(client);
  });
});

describe('a network', () => {
  it.each(['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '0.0.0.0/0'])('is %s', (text) => {
    expect(isNetwork(text)).toBe(true);
  });

  it.each(['', 'proxy', '10.0.0', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/x'])(
    'is not %j',
    (text) => {
      expect(isNetwork(text)).toBe(false);
    },
  );
});
