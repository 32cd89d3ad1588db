import type { IssuerKeys } from '#libs/auth';
import { pause } from '#libs/timing';
import type { JWK } from 'jose';
import { z } from 'zod';
import type { ServerClient } from './server-client.js';
import { unavailable } from './server-client.js';

const KeySet = z.object({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.string(), alg: z.string() })).max(100),
});

/** A key set is asked for again after so long, in ms; sooner for a key that it does not have. */
const FRESH_MS = 5 * 60_000;
const SOONEST_MS = 1_000;

interface KnownKeys {
  readonly keys: readonly JWK[];
  readonly at: number;
}

/**
 * The key sets of the servers that are trusted, kept for a while. A server that cannot be asked, or
 * gives no key set, changes nothing of what is known of it.
 */
export class TrustedIssuers implements IssuerKeys {
  private readonly known = new Map<string, KnownKeys>();
  private readonly asking = new Map<string, Promise<readonly JWK[]>>();

  constructor(private readonly client: ServerClient) {}

  /** @throws SbpError SBP_UPSTREAM_UNAVAILABLE */
  async keyOf(issuer: string, kid: string): Promise<JWK | null> {
    if (!this.client.trusts(issuer)) return null;
    const known = this.known.get(issuer);
    const age = known === undefined ? Infinity : performance.now() - known.at;
    const found = known?.keys.find((key) => key.kid === kid);
    if (found !== undefined && age < FRESH_MS) return found;
    // A key of which nobody has heard may be new; whoever makes ids up is not served more often.
    const keys = await this.anew(issuer, Math.max(0, SOONEST_MS - age));
    return keys.find((key) => key.kid === kid) ?? null;
  }

  /** Asks after a while; all who want the same meanwhile get the same. */
  private anew(issuer: string, afterMs: number): Promise<readonly JWK[]> {
    const asking =
      this.asking.get(issuer) ??
      pause(afterMs)
        .then(() => this.ask(issuer))
        .then((keys) => {
          this.known.set(issuer, { keys, at: performance.now() });
          return keys;
        })
        .finally(() => this.asking.delete(issuer));
    this.asking.set(issuer, asking);
    return asking;
  }

  private async ask(issuer: string): Promise<readonly JWK[]> {
    const path = '/.well-known/jwks.json';
    const { status, json } = await this.client.askJson(issuer, { method: 'GET', path });
    if (status !== 200) throw unavailable(issuer, `its key set is answered with ${status}`);
    const set = KeySet.safeParse(json);
    if (!set.success) throw unavailable(issuer, 'what it gives as its key set is none');
    return set.data.keys;
  }
}
