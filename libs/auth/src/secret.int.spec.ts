import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSecret, UnusableSecret } from './secret.js';

let parent: string;
let dataDir: string;
const file = () => path.join(dataDir, 'secret');

beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'statebridge-secret-'));
  dataDir = path.join(parent, 'new', 'data');
});

afterEach(() => {
  rmSync(parent, { recursive: true });
});

describe('the secret', () => {
  it('is the given one, and then nothing is written', () => {
    const secret = 'change-me-to-a-256-bit-secret';
    expect(Buffer.from(loadSecret({ secret, dataDir })).toString()).toBe(secret);
    expect(readdirSync(parent)).toEqual([]);
  });

  it('is made at the first start, with 32 random bytes, for its owner only, and kept', () => {
    const first = Buffer.from(loadSecret({ secret: null, dataDir }));
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(Buffer.from(first.toString(), 'base64url')).toHaveLength(32);
    expect(readFileSync(file(), 'utf8').trim()).toBe(first.toString());
    expect(Buffer.from(loadSecret({ secret: null, dataDir }))).toEqual(first);
    expect(readdirSync(dataDir)).toEqual(['secret']);
  });

  it('is one and the same for processes that start at once', async () => {
    // Plain Node strips the types of this one file, which imports nothing of ours.
    const script = `import(${JSON.stringify(path.join(import.meta.dirname, 'secret.ts'))}).then(({ loadSecret }) =>
      console.log(Buffer.from(loadSecret({ secret: null, dataDir: ${JSON.stringify(dataDir)} })).toString()))`;
    const starts = Array.from({ length: 6 }, () =>
      promisify(execFile)(process.execPath, ['--eval', script]),
    );
    const secrets = (await Promise.all(starts)).map(({ stdout }) => stdout.trim());
    expect(secrets[0]).toHaveLength(43);
    expect(new Set(secrets)).toEqual(new Set([readFileSync(file(), 'utf8').trim()]));
    expect(readdirSync(dataDir)).toEqual(['secret']);
  });

  it('is refused with advice when it is too short', () => {
    expect(() => loadSecret({ secret: 'fifteen-bytes..', dataDir })).toThrow(
      /^SBP_JWT_SECRET has 15 bytes .*openssl/,
    );
    expect(loadSecret({ secret: 'sixteen-bytes...', dataDir })).toHaveLength(16);
  });

  it('is refused with advice when its file was emptied or cut', () => {
    loadSecret({ secret: null, dataDir });
    writeFileSync(file(), '');
    expect(() => loadSecret({ secret: null, dataDir })).toThrow(UnusableSecret);
    expect(() => loadSecret({ secret: null, dataDir })).toThrow(/Remove the file/);
  });

  it('is refused with advice when other users can read its file', () => {
    loadSecret({ secret: null, dataDir });
    chmodSync(file(), 0o644);
    expect(() => loadSecret({ secret: null, dataDir })).toThrow(/chmod 600/);
  });
});
