import { randomUUID } from 'node:crypto';
import type { CryptoKey, JWK } from 'jose';
import { exportJWK, generateKeyPair, importJWK } from 'jose';
import { z } from 'zod';
import { KeptFile, UnusableKeys } from './kept-file.js';

/** What this server signs roaming tokens with; `HS256` is for the shared secret alone. */
export const KEY_ALGORITHMS = ['EdDSA', 'ES256'] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

export function isKeyAlgorithm(alg: string | undefined): alg is KeyAlgorithm {
  return KEY_ALGORITHMS.some((known) => known === alg);
}

/** A retired key verifies as long as tokens that it signed may live, in ms: seven days. */
const RETIRED_MS = 7 * 24 * 60 * 60 * 1000;
/**
 * A new key signs after so long, in ms: by then every process of the server knows it. Kubernetes
 * shows a changed Secret to a pod within 90 s; the rest is for whoever applies it.
 */
export const KNOWN_EVERYWHERE_MS = 180_000;
/** Until then the one before signs; this much more is for clocks that differ, in ms. */
const SLACK_MS = KNOWN_EVERYWHERE_MS + 60_000;

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

/** What verifies tokens that name a key. */
export interface Verifier {
  readonly alg: string;
  readonly key: CryptoKey;
  /** In s since 1970: the key signed nothing that was issued later; null for the one that signs. */
  readonly lastIssued: number | null;
}

/** A key pair without its private half. */
export interface ListedKey {
  readonly kid: string;
  readonly alg: KeyAlgorithm;
  readonly createdAt: string;
  /** Null for the one that signs. */
  readonly retiredAt: string | null;
}

/**
 * The key pairs of this server, in a file that all its processes read. Where there is no file,
 * roaming tokens are signed by the shared secret. A running server sees a rotation within a second,
 * and signs by a new key after three minutes.
 */
export class SigningKeys {
  private readonly file: KeptFile<KeyFile>;

  constructor(path: string) {
    this.file = new KeptFile({
      path,
      schema: KeyFile,
      empty: { keys: [] },
      what: 'file of keys. Make one by `sbp-server keys rotate`, at another path.',
    });
  }

  /** The key that signs; null where the shared secret does. */
  async current(): Promise<{ readonly kid: string; readonly alg: string; key: CryptoKey } | null> {
    const before = Date.now() - KNOWN_EVERYWHERE_MS;
    // The newest comes first.
    const kept = this.file.read().keys.find((key) => Date.parse(key.created_at) <= before);
    return kept === undefined ? null : { ...kept, key: await imported(kept.jwk, kept.alg) };
  }

  /** What verifies a token that names this key; null for a key of another server. */
  async verifier(kid: string): Promise<Verifier | null> {
    const kept = this.file.read().keys.find((each) => each.kid === kid);
    if (kept === undefined) return null;
    const { alg, jwk, retired_at: retired } = kept;
    const lastIssued = retired === null ? null : (Date.parse(retired) + SLACK_MS) / 1000;
    return { alg, key: await imported(publicJwk(jwk), alg), lastIssued };
  }

  /** The key set (RFC 7517) by which other servers verify tokens of this one. */
  publicSet(): { readonly keys: readonly JWK[] } {
    return {
      keys: this.file.read().keys.map(({ kid, alg, jwk }) => {
        return { ...publicJwk(jwk), kid, alg, use: 'sig' };
      }),
    };
  }

  list(): readonly ListedKey[] {
    return this.file
      .read()
      .keys.map(({ kid, alg, created_at: createdAt, retired_at: retiredAt }) => {
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
    this.file.change(({ keys }) => {
      const earlier = keys
        .map((key) => ({ ...key, retired_at: key.retired_at ?? now.toISOString() }))
        .filter(({ retired_at: retired }) => Date.parse(retired) > now.getTime() - RETIRED_MS);
      return { keys: [made, ...earlier] };
    });
    const { kid, created_at: createdAt } = made;
    return { kid, alg, createdAt, retiredAt: null };
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
