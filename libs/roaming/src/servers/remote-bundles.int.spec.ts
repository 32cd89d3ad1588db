import { createHash, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import canonicalize from 'canonicalize';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bundle, RoamingClaims } from '#libs/protocol';
import { PLACES, RemoteBundles, notKept } from './remote-bundles.js';
import type { OtherServer } from '../testing/other-server.js';
import { startOtherServer } from '../testing/other-server.js';

const AT = '2026-05-10T15:05:00.000Z';

let other: OtherServer;
let bundles: RemoteBundles;
let body = '';
/** Answers that wait while there is somebody to let them go. */
let waiting: ServerResponse[] = [];
let waits = false;

beforeAll(async () => {
  other = await startOtherServer((response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    if (waits) waiting.push(response);
    else response.end(body);
  });
});
afterAll(() => other.stop());
beforeEach(() => {
  waits = false;
  waiting = [];
  bundles = new RemoteBundles(other.client, {
    ...{ publicUrl: () => 'http://here', maxBundleBytes: 1_000_000, othersDead: false },
    onProblem: (_what, error) => {
      throw error;
    },
  });
});

function bundle(): Bundle {
  return {
    ...{ sbp_version: '1.0', exported_at: AT, label: null, memory: null, state_snapshot: null },
    session: {
      ...{ id: randomUUID(), agent_external_id: 'theirs', status: 'running', last_task: null },
      ...{ created_at: AT, step_count: 1 },
    },
    messages: [{ role: 'user', content: 'Hi.', model_used: null, cost_usd: null, created_at: AT }],
    metadata: { export_id: randomUUID(), message_count: 1, total_cost_usd: 0.5 },
  };
}

/** Lets the other server have this as the bundle of a token; gives what the token says. */
function offer(offered: Bundle): RoamingClaims {
  body = canonicalize(offered) ?? '';
  const cid = createHash('sha256').update(body).digest('hex');
  const sub = offered.metadata.export_id;
  return { ...{ sub, sid: offered.session.id, iat: 0, exp: 1, iss: other.url, cid } };
}

// [SBP-L6-05]
describe('a bundle of another server', () => {
  const { session, metadata, ...rest } = bundle();

  it.each<readonly [string, Bundle]>([
    ['an agent’s id of more than 256 characters', of({ agent_external_id: 'x'.repeat(257) })],
    ['an agent’s id with a NUL', of({ agent_external_id: 'a\0b' })],
    ['an agent without an id', of({ agent_external_id: '' })],
    ['more steps than a column can count', of({ step_count: 2 ** 31 })],
    ['a label of more than 120 characters', { ...rest, session, metadata, label: 'x'.repeat(121) }],
    ['a cost below 0', { ...rest, session, metadata: { ...metadata, total_cost_usd: -0.01 } }],
  ])('with %s is refused before anything of it is copied', async (_what, odd) => {
    await expect(bundles.fetch(offer(odd), 'token')).rejects.toMatchObject({
      code: 'SBP_TOKEN_INTEGRITY',
    });
  });

  it('at its bounds is taken', async () => {
    const most = {
      ...of({ agent_external_id: 'x'.repeat(256), step_count: 1_000_000_000 }),
      label: 'x'.repeat(120),
    };
    const fetched = await bundles.fetch(offer(most), 'token');
    expect(fetched.head.session).toMatchObject({ step_count: 1_000_000_000 });
    await fetched.letGo();
  });

  function of(said: Partial<Bundle['session']>): Bundle {
    return { ...rest, metadata, session: { ...session, ...said } };
  }
});

describe('bundles that are fetched at once', () => {
  // [SBP-L6-07]
  it('are so many at most; some more wait until one was let go, and others are told to come back', async () => {
    const claims = offer(bundle());
    const fetch = () => bundles.fetch(claims, 'token');
    const refused = expect.objectContaining({
      ...{ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 5 },
      message: expect.stringContaining(`${PLACES.most} bundles`) as string,
    }) as Error;
    waits = true;
    const first = Array.from({ length: PLACES.most }, fetch);
    await vi.waitFor(() => expect(waiting).toHaveLength(PLACES.most));
    const others = Array.from({ length: PLACES.mostWaiting }, fetch);
    await expect(fetch()).rejects.toEqual(refused);
    waits = false;
    for (const response of waiting) response.end(body);
    // Its file is there until it was copied, so its place is taken.
    const held = await Promise.all(first);
    await expect(fetch()).rejects.toEqual(refused);
    expect(waiting).toHaveLength(PLACES.most);
    for (const { letGo } of held) await letGo();
    for (const other of others) await (await other).letGo();
    await (await fetch()).letGo();
  });

  it('and fail leave their places to others', async () => {
    const claims = offer(bundle());
    for (let at = 0; at <= PLACES.most; at++) {
      await expect(bundles.fetch({ ...claims, cid: 'other' }, 'token')).rejects.toMatchObject({
        code: 'SBP_TOKEN_INTEGRITY',
      });
    }
    await (await bundles.fetch(claims, 'token')).letGo();
  });

  // [SBP-L6-07]
  it('and find no room are told so', async () => {
    const full = await writeFile('/dev/full', 'x').catch((error: unknown) => error);
    expect(notKept(full)).toMatchObject({
      ...{ code: 'SBP_UPSTREAM_UNAVAILABLE', retryAfter: 5 },
      message: expect.stringContaining('no room') as string,
    });
  });
});
