import { spawn } from 'node:child_process';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CryptoKey } from 'jose';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiKeys } from './api-keys.js';
import type { JwtIssuer } from './jwt-bearer.js';
import { UnusableKeys } from './kept-file.js';
import { principalProblem } from './principal.js';
import { Principals } from './principals.js';

const folder = mkdtempSync(path.join(tmpdir(), 'statebridge-principals-'));
afterAll(() => rmSync(folder, { recursive: true }));

const newFile = () => path.join(folder, `${randomBytes(6).toString('hex')}.json`);
const ann = { principal: 'ann', role: 'user', label: null, expiresAt: null } as const;
const NOW = '2026-01-01T00:00:00.000Z';
/** Takes the lock of a file, says so, and changes the file a moment later. */
const CHANGE = `
  const [file, text] = process.argv.slice(1);
  const lock = new (require('better-sqlite3'))(file + '.lock');
  lock.exec('BEGIN EXCLUSIVE');
  process.stdout.write('locked', () => setTimeout(() => {
    require('node:fs').writeFileSync(file, text);
    process.kill(process.pid, 'SIGKILL');
  }, 200));
`;
const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

function required(apiKeyFile: string, jwt: JwtIssuer | null = null): Principals {
  return new Principals({ type: 'required', apiKeyFile, jwt });
}

// [SBP-SEC-60]
describe('an API key', () => {
  it('names its principal and role, and is kept as a hash in a file of its user', async () => {
    const file = newFile();
    const keys = new ApiKeys(file);
    const { key, listed } = keys.create({ ...ann, role: 'operator', label: 'Grafana' });
    expect(key).toMatch(/^sbp_[0-9a-f]{12}_[\w-]{43}$/);
    expect(readFileSync(file, 'utf8')).not.toContain(key.slice(-43));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(new ApiKeys(file).list()).toEqual([listed]);
    expect(await required(file).authenticate(bearer(key))).toEqual({
      type: 'principal',
      principal: { name: 'ann', role: 'operator' },
    });
  });

  it('is worth nothing once it has expired or was revoked, or where one character differs', () => {
    const keys = new ApiKeys(newFile());
    const at = new Date('2026-01-01T00:00:00Z');
    const { key } = keys.create({ ...ann, expiresAt: at });
    expect(keys.verify(key, new Date(at.getTime() - 1)).type).toBe('valid');
    expect(keys.verify(key, at).type).toBe('expired');
    const other = keys.create(ann);
    expect(keys.verify(other.key.slice(0, -1) + '-').type).toBe('unknown');
    expect(keys.revoke(other.listed.id)).toBe(true);
    expect(keys.verify(other.key).type).toBe('revoked');
    expect(keys.revoke('0'.repeat(12))).toBe(false);
  });

  it('that was revoked in a Secret of Kubernetes is refused by whoever has it mounted', async () => {
    const made = newFile();
    const keys = new ApiKeys(made);
    const { key, listed } = keys.create(ann);
    // A folder for each version, and links that always lead to one that is whole.
    const mounted = mkdtempSync(path.join(folder, 'secret-'));
    const show = (version: string): void => {
      const file = path.join(mounted, version, 'api-keys.json');
      mkdirSync(path.dirname(file));
      copyFileSync(made, file);
      chmodSync(file, 0o440);
      symlinkSync(version, path.join(mounted, '..next'));
      renameSync(path.join(mounted, '..next'), path.join(mounted, '..data'));
    };
    show('..1');
    symlinkSync('..data/api-keys.json', path.join(mounted, 'api-keys.json'));
    const running = new ApiKeys(path.join(mounted, 'api-keys.json'));
    expect(running.verify(key).type).toBe('valid');
    keys.revoke(listed.id);
    show('..2');
    await vi.waitFor(() => expect(running.verify(key).type).toBe('revoked'), { timeout: 10_000 });
  });

  it('that was revoked stays so, whoever else changes the file', async () => {
    const file = newFile();
    const [one, other] = [new ApiKeys(file), new ApiKeys(file)];
    const [first, second] = [one.create(ann), one.create(ann)];
    expect(one.list()).toHaveLength(2);
    other.revoke(first.listed.id);
    one.create(ann);
    expect(other.verify(first.key).type).toBe('revoked');
    // A process that is killed in the middle of a change, which it has made, but not ended.
    const content = JSON.parse(readFileSync(file, 'utf8')) as object;
    const text = JSON.stringify(content).replaceAll('"revoked_at":null', `"revoked_at":"${NOW}"`);
    const changing = spawn(process.execPath, ['-e', CHANGE, file, text]);
    await once(changing.stdout, 'data');
    one.create(ann);
    expect(new ApiKeys(file).verify(second.key).type).toBe('revoked');
    expect(new ApiKeys(file).list()).toHaveLength(4);
  });

  it('of a file that others can write or that is none is refused', () => {
    const file = newFile();
    const { key } = new ApiKeys(file).create(ann);
    chmodSync(file, 0o640);
    expect(new ApiKeys(file).verify(key).type).toBe('valid');
    for (const mode of [0o660, 0o644, 0o602]) {
      chmodSync(file, mode);
      expect(() => new ApiKeys(file).verify(key)).toThrow(UnusableKeys);
    }
  });
});

// [SBP-SEC-60]
describe('a JWT of an identity provider', () => {
  const SECRET = 'a secret of the tests, long enough';
  const bySecret = { type: 'secret', secret: SECRET } as const;
  const expected = { issuer: 'https://id.example/', audience: 'sbp' };
  let provider: Server;
  let url: string;
  let pair: { readonly publicKey: CryptoKey; readonly privateKey: CryptoKey };
  let status = 200;
  let asked = 0;

  beforeAll(async () => {
    pair = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
    provider = createServer((_request, response) => {
      asked++;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/jwks.json`;
  });
  afterAll(() => provider.close());

  const token = (claims: object, kid = 'one') =>
    new SignJWT({ sub: 'ann', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setExpirationTime('1h')
      .setIssuer(expected.issuer)
      .setAudience(expected.audience)
      .sign(pair.privateKey);
  const byKeySet = () => required(newFile(), { key: { type: 'jwks', url }, ...expected });

  it('is believed by the key set, which is asked for once', async () => {
    const principals = byKeySet();
    const before = asked;
    for (const role of ['user', 'operator']) {
      const answer = await principals.authenticate(bearer(await token({ sbp_role: role })));
      expect(answer).toEqual({ type: 'principal', principal: { name: 'ann', role } });
    }
    expect(asked).toBe(before + 1);
  });

  it('is refused from another issuer, for another audience, by an unknown key', async () => {
    const principals = byKeySet();
    const strange = async (change: (jwt: SignJWT) => SignJWT, key = pair.privateKey) => {
      const jwt = new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'ES256', kid: 'one' });
      const made = jwt.setExpirationTime('1h').setIssuer(expected.issuer).setAudience('sbp');
      const answer = await principals.authenticate(bearer(await change(made).sign(key)));
      return answer.type;
    };
    expect(await strange((jwt) => jwt)).toBe('principal');
    expect(await strange((jwt) => jwt.setIssuer('https://evil.example/'))).toBe('refused');
    expect(await strange((jwt) => jwt.setAudience('other'))).toBe('refused');
    expect(await strange((jwt) => jwt.setExpirationTime('-1h'))).toBe('refused');
    const { privateKey } = await generateKeyPair('ES256');
    expect(await strange((jwt) => jwt, privateKey)).toBe('refused');
    const unknown = await principals.authenticate(bearer(await token({}, 'two')));
    expect(unknown).toMatchObject({ type: 'refused' });
  });

  it('is not believed when it is signed with the public key as a secret', async () => {
    const spki = await exportSPKI(pair.publicKey);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { sub: 'ann', exp: 4e9, iss: expected.issuer, aud: expected.audience };
    const content = `${part({ alg: 'HS256', kid: 'one' })}.${part(claims)}`;
    const confused = `${content}.${createHmac('sha256', spki).update(content).digest('base64url')}`;
    expect(await byKeySet().authenticate(bearer(confused))).toMatchObject({ type: 'refused' });
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsa = await new SignJWT({ sub: 'ann', exp: 4e9 })
      .setProtectedHeader({ alg: 'RS256' })
      .sign(privateKey);
    const principals = required(newFile(), { key: bySecret, issuer: null, audience: null });
    expect(await principals.authenticate(bearer(rsa))).toMatchObject({ type: 'refused' });
  });

  it('cannot be checked while the key set cannot be had, which is no fault of the caller', async () => {
    const principals = byKeySet();
    status = 500;
    const sent = bearer(await token({}));
    expect(await principals.authenticate(sent)).toMatchObject({ type: 'unavailable' });
    status = 200;
    const refusing = createServer();
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
    const { port } = refusing.address() as AddressInfo;
    await new Promise((resolve) => refusing.close(resolve));
    const gone = { type: 'jwks', url: `http://127.0.0.1:${port}/jwks.json` } as const;
    const away = required(newFile(), { key: gone, ...expected });
    expect(await away.authenticate(sent)).toMatchObject({ type: 'unavailable' });
  });

  it('is refused where it is none', async () => {
    const principals = byKeySet();
    for (const none of ['x', 'a.b.c', 'e30.e30.', `${'a'.repeat(20)}.e30.x`]) {
      expect(await principals.authenticate(bearer(none))).toMatchObject({ type: 'refused' });
    }
  });
});

describe('the name of a principal', () => {
  it.each([undefined, '', 7, 'anonymous', 'session:x', 'a\nb', 'x'.repeat(257)])(
    'is not %j',
    (name) => {
      expect(principalProblem(name)).not.toBeNull();
    },
  );

  it('may be an address, a path or words', () => {
    for (const name of ['ann@example.com', 'auth0|123', 'Grete Müller', 'x'.repeat(256)])
      expect(principalProblem(name)).toBeNull();
  });
});

describe('with open access', () => {
  it('everybody is the anonymous principal, whatever he sends', async () => {
    const open = new Principals({ type: 'open' });
    const anonymous = { type: 'principal', principal: { name: 'anonymous', role: 'user' } };
    for (const headers of [{}, bearer('sk-1'), { authorization: 'Basic x' }]) {
      expect(await open.authenticate(headers)).toEqual(anonymous);
    }
  });
});
