import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { CryptoKey, JWK } from 'jose';
import { exportJWK, generateKeyPair, importJWK } from 'jose';
import { z } from 'zod';

/** What this server signs roaming tokens with; `HS256` is for the shared secret alone. */
export const KEY_ALGORITHMS = ['EdDSA', 'ES256'] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

export function isKeyAlgorithm(alg: string | undefined): alg is KeyAlgorithm {
  return KEY_ALGORITHMS.some((known) => known === alg);
}

/** A retired key verifies as long as tokens that it signed may live, in ms: seven days. */
const RETIRED_MS = 7 * 24 * 60 * 60 * 1000;
/** The file is looked at again after so long, in ms: another process may have changed it. */
const FRESH_MS = 1_000;
/** A new key signs after so long, in ms: by then every process of the server knows it. */
const KNOWN_EVERYWHERE_MS = 5_000;

const KeyFile = z.object({
  keys: z.array(
    z.object({
      kid: z.string().min(1),
      alg: z.enum(KEY_ALGORITHMS),
      created_at: z.iso.datetime(),
      /** When the next one was made, which signs in its place. */
      retired_at: z.iso.datetime().nullable(),
      /** The private key, as a JWK. */
      jwk: z.looseObject({ kty: z.string() }),
    }),
  ),
});
type KeyFile = Readonly<z.infer<typeof KeyFile>>;
type KeptKey = KeyFile['keys'][number];

/** A key pair without its private half. */
export interface ListedKey {
  readonly kid: string;
  readonly alg: KeyAlgorithm;
  readonly createdAt: string;
  /** Null for the one that signs. */
  readonly retiredAt: string | null;
}

/** The file of keys cannot be used; the message says why and what to do. */
export class UnusableKeys extends Error {
  override readonly name = 'UnusableKeys';
}

/**
 * The key pairs of this server, in a file that all its processes read. Where there is no file,
 * roaming tokens are signed by the shared secret. A running server sees a rotation within a second,
 * and signs by a new key after five.
 */
export class SigningKeys {
  private known: { readonly file: KeyFile; readonly at: number; readonly mtime: number } | null =
    null;

  constructor(private readonly path: string) {}

  /** The key that signs; null where the shared secret does. */
  async current(): Promise<{ readonly kid: string; readonly alg: string; key: CryptoKey } | null> {
    const before = Date.now() - KNOWN_EVERYWHERE_MS;
    // The newest comes first.
    const kept = this.read().keys.find((key) => Date.parse(key.created_at) <= before);
    return kept === undefined ? null : { ...kept, key: await imported(kept.jwk, kept.alg) };
  }

  /** What verifies a token that names this key; null for a key of another server. */
  async verifier(kid: string): Promise<{ readonly alg: string; readonly key: CryptoKey } | null> {
    const kept = this.read().keys.find((each) => each.kid === kid);
    return kept === undefined
      ? null
      : { alg: kept.alg, key: await imported(publicJwk(kept.jwk), kept.alg) };
  }

  /** The key set (RFC 7517) by which other servers verify tokens of this one. */
  publicSet(): { readonly keys: readonly JWK[] } {
    return {
      keys: this.read().keys.map(({ kid, alg, jwk }) => {
        return { ...publicJwk(jwk), kid, alg, use: 'sig' };
      }),
    };
  }

  list(): readonly ListedKey[] {
    return this.read().keys.map(({ kid, alg, created_at: createdAt, retired_at: retiredAt }) => {
      return { kid, alg, createdAt, retiredAt };
    });
  }

  /** Makes a new key that signs from now on; those that have retired for seven days are removed. */
  async rotate(alg: KeyAlgorithm, now = new Date()): Promise<ListedKey> {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    const made: KeptKey = {
      kid: randomUUID(),
      alg,
      created_at: now.toISOString(),
      retired_at: null,
      jwk: KeyFile.shape.keys.element.shape.jwk.parse(await exportJWK(privateKey)),
    };
    const earlier = this.read()
      .keys.map((key) => ({ ...key, retired_at: key.retired_at ?? now.toISOString() }))
      .filter(({ retired_at: retired }) => Date.parse(retired) > now.getTime() - RETIRED_MS);
    this.write({ keys: [made, ...earlier] });
    const { kid, created_at: createdAt } = made;
    return { kid, alg, createdAt, retiredAt: null };
  }

  private read(): KeyFile {
    const now = performance.now();
    if (this.known !== null && now - this.known.at < FRESH_MS) return this.known.file;
    const stats = statSync(this.path, { throwIfNoEntry: false });
    const mtime = stats?.mtimeMs ?? 0;
    const isKnown = this.known !== null && this.known.mtime === mtime;
    const file = isKnown && this.known !== null ? this.known.file : this.load(stats?.mode ?? null);
    this.known = { file, at: now, mtime };
    return file;
  }

  private load(mode: number | null): KeyFile {
    if (mode === null) return { keys: [] };
    if ((mode & 0o077) !== 0) {
      throw new UnusableKeys(
        `${this.path} can be read by other users. Run \`chmod 600 ${this.path}\`.`,
      );
    }
    try {
      return KeyFile.parse(JSON.parse(readFileSync(this.path, 'utf8')));
    } catch {
      throw new UnusableKeys(
        `${this.path} is no file of keys. Make one by \`sbp-server keys rotate\`, at another path.`,
      );
    }
  }

  /** It appears whole or not at all. */
  private write(file: KeyFile): void {
    const draft = `${this.path}.${randomBytes(6).toString('hex')}.new`;
    writeFileSync(draft, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(draft, this.path);
    this.known = null;
  }
}

async function imported(jwk: JWK, alg: string): Promise<CryptoKey> {
  const key = await importJWK(jwk, alg);
  if (key instanceof Uint8Array) throw new UnusableKeys('a key of the file is no key pair');
  return key;
}

/** Without its private half. */
function publicJwk(jwk: KeptKey['jwk']): JWK {
  const isPublic = ([name]: readonly [string, unknown]) => ['kty', 'crv', 'x', 'y'].includes(name);
  return Object.fromEntries(Object.entries(jwk).filter(isPublic));
}
