import { describe, expect, it } from 'vitest';
import { checkHost, checkOrigin, isLoopbackAddress } from './trust.js';

// [SBP-SEC-03]
describe('Host', () => {
  it.each([
    'localhost',
    'LOCALHOST:8080',
    'app.localhost:3000',
    '127.0.0.1',
    '127.0.0.1:8080',
    '127.255.3.4:1',
    '[::1]',
    '[::1]:8080',
    '[0:0:0:0:0:0:0:1]:8080',
  ])('%s names this machine', (host) => {
    expect(checkHost(host)).toBe(true);
  });

  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    'evillocalhost',
    '127.0.0.1.evil.example',
    '127.0.0.1.nip.io:8080',
    '128.0.0.1',
    '0.0.0.0:8080',
    '10.0.0.1',
    '127.1',
    '2130706433',
    '[::2]',
    '[::]',
    '[::1',
    '::1',
    '[127.0.0.1]',
    'localhost:abc',
    'localhost:8080:1',
    'user@localhost',
    'localhost/evil',
    'localhost evil',
    'localhost,evil.example',
  ])('%s does not', (host) => {
    expect(checkHost(host)).toBe(false);
  });
});

// [SBP-SEC-04]
describe('Origin', () => {
  const allowed = ['https://app.example', 'chrome-extension://abcdef'];

  it.each([
    undefined,
    'http://localhost',
    'http://localhost:3000',
    'https://127.0.0.1:8443',
    'http://[::1]:5173',
    'http://tool.localhost',
    'https://app.example',
    'https://APP.example',
    'chrome-extension://abcdef',
  ])('%s may talk to the server', (origin) => {
    expect(checkOrigin(origin, allowed)).toBe(true);
  });

  it.each([
    'null',
    '',
    'http://evil.example',
    'http://app.example',
    'https://app.example:8443',
    'https://app.example.evil.example',
    'http://localhost.evil.example',
    'file://localhost',
    'file://',
    'localhost',
    'http://localhost, http://evil.example',
    'http://localhost://evil.example/',
    'http://evil.example/http://localhost',
    'chrome-extension://other',
  ])('%s may not', (origin) => {
    expect(checkOrigin(origin, allowed)).toBe(false);
  });
});

describe('loopback addresses', () => {
  it.each(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])('%s is one', (address) => {
    expect(isLoopbackAddress(address)).toBe(true);
  });

  it.each(['0.0.0.0', '::', '192.168.0.1', '::ffff:10.0.0.1', 'localhost', ''])(
    '%s is none',
    (address) => {
      expect(isLoopbackAddress(address)).toBe(false);
    },
  );
});
