import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { Readable, pipeline } from 'node:stream';
import { SignJWT } from 'jose';
import type { SigningKeys } from '#libs/auth';

type Body = string | AsyncIterable<string>;

/** What a token of a third party says. */
export interface OfferedToken {
  readonly cid: string;
  readonly exportId?: string;
  /** Who it says that it is of. */
  readonly issuer?: string;
}

/** A server of somebody else, which answers as a test wants it to. */
export class ThirdParty {
  private readonly answers = new Map<string, { readonly status: number; readonly body: Body }>();

  private constructor(
    readonly url: string,
    private readonly keys: SigningKeys,
    private readonly server: Server,
  ) {}

  static async listen(port: number, keys: SigningKeys): Promise<ThirdParty> {
    const server = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const party = new ThirdParty(`http://127.0.0.1:${port}`, keys, server);
    server.on('request', (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://x');
      const keySet = { status: 200, body: JSON.stringify(keys.publicSet()) };
      const isKeys = pathname === '/.well-known/jwks.json';
      const answer = isKeys ? keySet : party.answers.get(pathname);
      response.writeHead(answer?.status ?? 404, { 'content-type': 'application/json' });
      const body = answer?.body ?? '{}';
      if (typeof body === 'string') response.end(body);
      // Whoever asks may hang up.
      else pipeline(Readable.from(body), response, () => undefined);
    });
    return party;
  }

  /** Answers requests of a bundle, and of its use. */
  offer(cid: string, body: Body, used: { readonly status: number; readonly body: object }): void {
    this.answers.set(`/v1/sbp/bundles/${cid}`, { status: 200, body });
    const { status } = used;
    this.answers.set(`/v1/sbp/bundles/${cid}/consume`, { status, body: JSON.stringify(used.body) });
  }

  async token({ cid, exportId = randomUUID(), issuer = this.url }: OfferedToken): Promise<string> {
    const key = await this.keys.current();
    if (key === null) throw new Error('the third party has no key');
    const iat = Math.floor(Date.now() / 1000);
    const claims = { sub: exportId, sid: randomUUID(), cid, iss: issuer, iat, exp: iat + 3_600 };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: key.alg, typ: 'JWT', kid: key.kid })
      .sign(key.key);
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
