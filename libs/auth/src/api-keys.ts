import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { KeptFile } from './kept-file.js';
import type { Principal, Role } from './principal.js';
import { ROLES } from './principal.js';

const KeyFile = z.object({
  api_keys: z.array(
    z.object({
      id: z.string().regex(/^[0-9a-f]{12}$/),
      /** SHA-256 of the whole key, in hex: its 32 random bytes need no slower one. */
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      principal: z.string().min(1),
      role: z.enum(ROLES),
      label: z.string().nullable(),
      created_at: z.iso.datetime(),
      expires_at: z.iso.datetime().nullable(),
      revoked_at: z.iso.datetime().nullable(),
    }),
  ),
});
type KeyFile = Readonly<z.infer<typeof KeyFile>>;

/** An API key without its secret. */
export type ListedApiKey = Omit<KeyFile['api_keys'][number], 'hash'>;

export interface NewApiKey {
  readonly principal: string;
  readonly role: Role;
  readonly label: string | null;
  /** Null for one that does not expire. */
  readonly expiresAt: Date | null;
}

export type ApiKeyVerdict =
  | { readonly type: 'valid'; readonly principal: Principal }
  | { readonly type: 'expired' | 'revoked' | 'unknown' };

/** A key: a prefix that tells what it is, its id, and 32 random bytes in base64url. */
const KEY = /^sbp_(?<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

/** Whether a credential has the form of an API key of ours. */
export function isApiKey(credential: string): boolean {
  return KEY.test(credential);
}

/**
 * The API keys of this server, hashed, in a file that all its processes read. A running server sees
 * a change within a second.
 */
export class ApiKeys {
  private readonly file: KeptFile<KeyFile>;

  constructor(path: string) {
    this.file = new KeptFile({
      path,
      schema: KeyFile,
      empty: { api_keys: [] },
      what: 'file of API keys. Make one by `sbp-server token create`, at another path.',
    });
  }

  /** The key itself is given out here, and is kept nowhere. @throws UnusableKeys */
  create(
    { principal, role, label, expiresAt }: NewApiKey,
    now = new Date(),
  ): { readonly key: string; readonly listed: ListedApiKey } {
    const id = randomBytes(6).toString('hex');
    const key = `sbp_${id}_${randomBytes(32).toString('base64url')}`;
    const listed: ListedApiKey = {
      ...{ id, principal, role, label },
      created_at: now.toISOString(),
      expires_at: expiresAt?.toISOString() ?? null,
      revoked_at: null,
    };
    const hash = hashOf(key).toString('hex');
    this.file.change(({ api_keys: keys }) => ({ api_keys: [...keys, { ...listed, hash }] }));
    return { key, listed };
  }

  /** @throws UnusableKeys */
  list(): readonly ListedApiKey[] {
    return this.file.read().api_keys.map(({ hash: _, ...listed }) => listed);
  }

  /** False where there is no such key. @throws UnusableKeys */
  revoke(id: string, now = new Date()): boolean {
    const revoked_at = now.toISOString();
    // No key ever leaves the file, so this needs no lock.
    if (!this.file.read().api_keys.some((key) => key.id === id)) return false;
    this.file.change(({ api_keys: keys }) => ({
      api_keys: keys.map((key) =>
        key.id === id ? { ...key, revoked_at: key.revoked_at ?? revoked_at } : key,
      ),
    }));
    return true;
  }

  /** @throws UnusableKeys */
  verify(credential: string, now = new Date()): ApiKeyVerdict {
    const id = KEY.exec(credential)?.groups?.['id'];
    const kept = this.file.read().api_keys.find((key) => key.id === id);
    if (kept === undefined || !timingSafeEqual(hashOf(credential), Buffer.from(kept.hash, 'hex'))) {
      return { type: 'unknown' };
    }
    if (kept.revoked_at !== null) return { type: 'revoked' };
    const isOver = kept.expires_at !== null && Date.parse(kept.expires_at) <= now.getTime();
    if (isOver) return { type: 'expired' };
    return { type: 'valid', principal: { name: kept.principal, role: kept.role } };
  }
}

function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
