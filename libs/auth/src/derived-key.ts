import { hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * A key for one purpose, made of the secret that `loadSecret` gave by HKDF-SHA-256: what is signed
 * with it is worth nothing for another purpose, and the secret cannot be found from it.
 */
export function derivedKey(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), purpose, KEY_BYTES));
}
