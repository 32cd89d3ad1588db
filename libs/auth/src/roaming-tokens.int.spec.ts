import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JWK } from 'jose';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuerKeys } from './roaming-tokens.js';
import { RoamingTokens } from './roaming-tokens.js';
import { UnusableKeys } from './kept-file.js';
import { KEY_ALGORITHMS, KNOWN_EVERYWHERE_MS, SigningKeys } from './signing-keys.js';

const DAY = 24 * 60 * 60 * 1000;
/** Long enough ago for a key to sign. */
const earlier = (ms = 2 * KNOWN_EVERYWHERE_MS): Date => new Date(Date.now() - ms);
const ISSUER = 'https://there.example';
const secret = randomBytes(32);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'keys-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const newFile = (): string => path.join(folder, `${randomUUID()}.json`);
const noIssuers: IssuerKeys = { keyOf: () => Promise.resolve(null) };
const tokensOf = (keys: SigningKeys, issuers = noIssuers) =>
  new RoamingTokens(secret, keys, issuers);

/** What other servers know of a server's keys. */
const trusting = (keys: SigningKeys): IssuerKeys => ({
  keyOf: (issuer, kid) =>
    Promise.resolve(
      issuer === ISSUER ? (keys.publicSet().keys.find((key) => key.kid === kid) ?? null) : null,
    ),
});

const claims = (iss = ISSUER, iat = Math.floor(Date.now() / 1000), lifetime = 3600) => ({
  ...{ sub: randomUUID(), sid: randomUUID(), iat, exp: iat + lifetime, iss, cid: 'c'.repeat(64) },
});
const daysAgo = (days: number): number => Math.floor((Date.now() - days * DAY) / 1000);

describe.each(KEY_ALGORITHMS)('roaming tokens signed by a key of %s', (alg) => {
  // [SBP-L6-01]
  it('verify at the server itself and where it is trusted, and nowhere else', async () => {
    const keys = new SigningKeys(newFile());
    const { kid } = await keys.rotate(alg, earlier());
    const said = claims();
    const token = await tokensOf(keys).issue(said);
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      ...{ alg, typ: 'JWT', kid },
    });
    expect(await tokensOf(keys).verify(token)).toEqual({
      ...{ type: 'valid', claims: said, signer: 'own key' },
    });
    const other = new SigningKeys(newFile());
    expect(await tokensOf(other, trusting(keys)).verify(token)).toEqual({
      ...{ type: 'valid', claims: said, signer: 'issuer' },
    });
    expect((await tokensOf(other).verify(token)).type).toBe('invalid');
    const elsewhere = await tokensOf(keys).issue(claims('https://evil.example'));
    expect((await tokensOf(other, trusting(keys)).verify(elsewhere)).type).toBe('invalid');
  });

  // [SBP-L6-02]
  it('outlive a rotation, for as long as they may live', async () => {
    const keys = new SigningKeys(newFile());
    const first = await keys.rotate(alg, new Date(Date.now() - 8 * DAY));
    const token = await tokensOf(keys).issue(claims(ISSUER, daysAgo(6.5), (7 * DAY) / 1000));
    const second = await keys.rotate(alg, new Date(Date.now() - 6 * DAY));
    expect((await tokensOf(keys).verify(token)).type).toBe('valid');
    expect(keys.list()).toMatchObject([{ kid: second.kid, retiredAt: null }, { kid: first.kid }]);
    const third = await keys.rotate(alg);
    expect(keys.list().map(({ kid }) => kid)).toEqual([third.kid, second.kid, first.kid]);
    await keys.rotate(alg, new Date(Date.now() + 2 * DAY));
    expect(keys.list().map(({ kid }) => kid)).not.toContain(first.kid);
    expect((await tokensOf(keys).verify(token)).type).toBe('invalid');
  });

  // [SBP-L6-02]
  it('are not signed by a key that has retired: whoever has got hold of it makes none', async () => {
    const keys = new SigningKeys(newFile());
    await keys.rotate(alg, new Date(Date.now() - 8 * DAY));
    const stolen = await tokensOf(keys).issue(claims());
    const before = await tokensOf(keys).issue(claims(ISSUER, daysAgo(1), (7 * DAY) / 1000));
    const atOnce = await tokensOf(keys).issue(claims(ISSUER, daysAgo(0.5) + 5, DAY / 1000));
    await keys.rotate(alg, new Date(Date.now() - DAY / 2));
    expect((await tokensOf(keys).verify(stolen)).type).toBe('invalid');
    expect((await tokensOf(keys).verify(before)).type).toBe('valid');
    // Until every process knows the new key the old one signs.
    expect((await tokensOf(keys).verify(atOnce)).type).toBe('valid');
  });

  // [SBP-L6-03]
  it('are not forged by whoever knows the public key', async () => {
    const keys = new SigningKeys(newFile());
    const { kid } = await keys.rotate(alg, earlier());
    const [, payload = ''] = (await tokensOf(keys).issue(claims())).split('.');
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const jwk: JWK = keys.publicSet().keys[0] ?? {};
    const forged = [JSON.stringify(jwk), jwk.x ?? '', Buffer.from(jwk.x ?? '', 'base64url')];
    for (const key of forged) {
      for (const header of [
        { alg: 'HS256', typ: 'JWT', kid },
        { alg: 'HS256', typ: 'JWT' },
      ]) {
        const signed = `${encode(header)}.${payload}`;
        const mac = createHmac('sha256', key).update(signed).digest('base64url');
        expect((await tokensOf(keys).verify(`${signed}.${mac}`)).type).toBe('invalid');
      }
    }
    const none = `${encode({ alg: 'none', kid })}.${payload}.`;
    expect((await tokensOf(keys).verify(none)).type).toBe('invalid');
    const other = KEY_ALGORITHMS.find((each) => each !== alg) ?? alg;
    const confused = `${encode({ alg: other, typ: 'JWT', kid })}.${payload}.AAAA`;
    expect((await tokensOf(keys).verify(confused)).type).toBe('invalid');
  });
});

describe('the keys of a server', () => {
  // [SBP-L6-02]
  it('sign only when every process has had time to see them', async () => {
    const keys = new SigningKeys(newFile());
    // Kubernetes takes up to 90 s to show a pod a Secret that was changed.
    await keys.rotate('EdDSA', earlier(120_000));
    expect(await keys.current()).toBeNull();
    const { kid } = await keys.rotate('EdDSA', earlier(KNOWN_EVERYWHERE_MS + 1_000));
    await keys.rotate('EdDSA');
    expect((await keys.current())?.kid).toBe(kid);
  });

  it('are in a file that only its user can read, and show nothing that is secret', async () => {
    const file = newFile();
    const keys = new SigningKeys(file);
    await keys.rotate('EdDSA');
    await keys.rotate('ES256');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(keys.publicSet().keys).toHaveLength(2);
    expect(keys.publicSet().keys.every((key) => !('d' in key))).toBe(true);
    expect(JSON.stringify(keys.list())).not.toContain('"d"');
    chmodSync(file, 0o644);
    expect(() => new SigningKeys(file).list()).toThrow(UnusableKeys);
  });

  it('where there are none, the secret signs, and the header says nothing else', async () => {
    const token = await tokensOf(new SigningKeys(newFile())).issue(claims());
    expect(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).toBe(
      '{"alg":"HS256","typ":"JWT"}',
    );
  });
});

describe('a roaming token', () => {
  // [SBP-L6-03]
  it('from the future is worth nothing', async () => {
    const tokens = tokensOf(new SigningKeys(newFile()));
    const soon = Math.floor(Date.now() / 1000) + 3_600;
    expect((await tokens.verify(await tokens.issue(claims(ISSUER, soon)))).type).toBe('invalid');
  });

  it('by a key that its issuer says is of another algorithm is worth nothing', async () => {
    const keys = new SigningKeys(newFile());
    await keys.rotate('ES256', earlier());
    const token = await tokensOf(keys).issue(claims());
    const { publicKey } = await generateKeyPair('ES256', { extractable: true });
    const [jwk] = keys.publicSet().keys;
    const lies: readonly JWK[] = [
      { ...jwk, alg: 'EdDSA' },
      { ...(await exportJWK(publicKey)), alg: 'ES256' },
      { kty: 'oct', k: 'AAAA', alg: 'ES256' },
    ];
    for (const lie of lies) {
      const issuers = { keyOf: () => Promise.resolve(lie) };
      expect((await tokensOf(new SigningKeys(newFile()), issuers).verify(token)).type).toBe(
        'invalid',
      );
    }
  });
});
