import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { Agent } from '../clients/agent.js';
import { refusedUpgrade, Surface } from '../clients/surface.js';
import type { SessionKey } from '../clients/surface.js';
import { tokenFor, worthlessTokens } from '../clients/tokens.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';

type Sent = string | Buffer;
type Refusal = 'PROTOCOL_ERROR' | 'SESSION_NOT_FOUND' | 'FORBIDDEN';

const CODES: Readonly<Record<Refusal, number>> = {
  PROTOCOL_ERROR: 1003,
  SESSION_NOT_FOUND: 4004,
  FORBIDDEN: 4003,
};

interface FirstFrame {
  readonly what: string;
  readonly sends: (key: SessionKey) => Sent | Readonly<Record<string, unknown>>;
  /** Where it connects; by default to its own session. */
  readonly to?: string;
  readonly refusal: Refusal;
}

const UNKNOWN = randomUUID();
const attach = (key: SessionKey, other: Readonly<Record<string, unknown>> = {}) => ({
  type: 'ATTACH_SESSION',
  session_id: key.session_id,
  session_token: key.session_token,
  ...other,
});

/**
 * In the order in which the contract checks; some are wrong in more than one way, and the first
 * counts.
 */
const FIRST_FRAMES: readonly FirstFrame[] = [
  { what: 'words', sends: () => 'hello', refusal: 'PROTOCOL_ERROR' },
  { what: 'nothing', sends: () => '', refusal: 'PROTOCOL_ERROR' },
  {
    what: 'half an object',
    sends: (key) => JSON.stringify(attach(key)).slice(0, -1),
    refusal: 'PROTOCOL_ERROR',
  },
  { what: 'a list', sends: (key) => JSON.stringify([attach(key)]), refusal: 'PROTOCOL_ERROR' },
  { what: 'null', sends: () => 'null', refusal: 'PROTOCOL_ERROR' },
  {
    what: 'a binary frame',
    sends: (key) => Buffer.from(JSON.stringify(attach(key))),
    refusal: 'PROTOCOL_ERROR',
  },
  { what: 'PONG', sends: () => ({ type: 'PONG' }), refusal: 'PROTOCOL_ERROR' },
  { what: 'DETACH', sends: () => ({ type: 'DETACH' }), refusal: 'PROTOCOL_ERROR' },
  {
    what: 'TOOL_RESULT',
    sends: () => ({ type: 'TOOL_RESULT', call_id: UNKNOWN }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'an unknown type',
    sends: (key) => attach(key, { type: 'HELLO' }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'an object without a type',
    sends: (key) => attach(key, { type: undefined }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'a type that is a number',
    sends: (key) => attach(key, { type: 1 }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'another type to a session that does not exist',
    sends: () => ({ type: 'PONG' }),
    to: UNKNOWN,
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'another session than in the path',
    sends: (key) => attach(key),
    to: UNKNOWN,
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'another session, and a worthless token',
    sends: (key) => attach(key, { session_id: UNKNOWN, session_token: 'x' }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'no session',
    sends: (key) => attach(key, { session_id: undefined }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'a session that is a number',
    sends: (key) => attach(key, { session_id: 7 }),
    refusal: 'PROTOCOL_ERROR',
  },
  {
    what: 'a session that does not exist, with a token of its own',
    sends: () => attach({ session_id: UNKNOWN, session_token: tokenFor(UNKNOWN) }),
    to: UNKNOWN,
    refusal: 'SESSION_NOT_FOUND',
  },
  {
    what: 'a session that does not exist, with a worthless token',
    sends: () => attach({ session_id: UNKNOWN, session_token: 'x' }),
    to: UNKNOWN,
    refusal: 'SESSION_NOT_FOUND',
  },
  {
    what: 'a session that is no UUID',
    sends: (key) => attach(key, { session_id: 'abc123' }),
    to: 'abc123',
    refusal: 'SESSION_NOT_FOUND',
  },
  {
    what: "another session's token",
    sends: (key) => attach(key, { session_token: tokenFor(UNKNOWN) }),
    refusal: 'FORBIDDEN',
  },
  {
    what: 'no token',
    sends: (key) => attach(key, { session_token: undefined }),
    refusal: 'FORBIDDEN',
  },
  {
    what: 'a token that is a number',
    sends: (key) => attach(key, { session_token: 7 }),
    refusal: 'FORBIDDEN',
  },
  ...Object.keys(worthlessTokens('')).map((what): FirstFrame => ({
    what: `a token that ${what}`,
    sends: (key) => attach(key, { session_token: worthlessTokens(key.session_id)[what] }),
    refusal: 'FORBIDDEN',
  })),
];

const IGNORED: readonly (readonly [string, unknown])[] = [
  ['of an unknown type', { type: 'FROM_THE_FUTURE', a: 1 }],
  ['without a type', { session_id: 'x' }],
  ['whose type is a number', { type: 7 }],
  [
    'TOOL_RESULT with an unknown call_id',
    { type: 'TOOL_RESULT', call_id: randomUUID(), result: 1, error: null },
  ],
  ['TOOL_RESULT with bad fields', { type: 'TOOL_RESULT', call_id: 7 }],
  ['ATTACH_SESSION with bad fields', { type: 'ATTACH_SESSION', session_id: 7 }],
];

const BREAKING: readonly (readonly [string, Sent])[] = [
  ['words', 'hello'],
  ['a list', '[{"type":"PONG"}]'],
  ['a number', '7'],
  ['a binary frame', Buffer.from('{"type":"PONG"}')],
];

const asSent = (sent: Sent | Readonly<Record<string, unknown>>): Sent =>
  typeof sent === 'string' || Buffer.isBuffer(sent) ? sent : JSON.stringify(sent);

export function frameRules(server: GetServer): void {
  async function session() {
    const agent = new Agent(server().url);
    const { sbp: key } = await agent.turn('Hello.');
    return { agent, key, before: await agent.session(key.session_id) };
  }

  describe('§8 frames', () => {
    let silent: Surface;
    beforeAll(async () => {
      silent = await Surface.connect(server().url, (await session()).key.session_id);
    });

    // [SBP-WS-02] [SBP-ERR-05]
    it.for(FIRST_FRAMES.map((frame) => [frame.what, frame.refusal, frame] as const))(
      'a first frame with %s gets %s and its close code, and changes nothing',
      async ([, , { sends, to, refusal }]) => {
        const { agent, key, before } = await session();
        const surface = await Surface.connect(server().url, to ?? key.session_id);
        surface.sendRaw(asSent(sends(key)));
        expect(await surface.closed).toBe(CODES[refusal]);
        const detail = expect.stringMatching(/./) as unknown;
        expect(surface.frames).toMatchObject([{ type: refusal, detail }]);
        expect(await agent.session(key.session_id)).toEqual(before);
      },
    );

    // [SBP-WS-01]
    it('a first frame of another type is told back', async () => {
      const { key } = await session();
      const surface = await Surface.connect(server().url, key.session_id);
      surface.pong();
      const { detail } = await surface.next('PROTOCOL_ERROR');
      expect(detail).toBe("Expected ATTACH_SESSION as first frame, got 'PONG'");
    });

    // [SBP-WS-01]
    it('a first frame above 64 KiB is too big: 1009', async () => {
      const { agent, key, before } = await session();
      const surface = await Surface.connect(server().url, key.session_id);
      surface.attach(key, { surface_id: 'x'.repeat(64 * 1024) });
      expect(await surface.closed).toBe(1009);
      expect(await agent.session(key.session_id)).toEqual(before);
    });

    it('a later frame above 8 MiB is too big: 1009', async () => {
      const { key } = await session();
      const surface = await Surface.attach(server().url, key);
      surface.send({
        type: 'TOOL_RESULT',
        call_id: randomUUID(),
        result: 'x'.repeat(8 * 1024 * 1024),
      });
      expect(await surface.closed).toBe(1009);
    });

    // [SBP-WS-04]
    it.for(IGNORED)('after the attach a frame %s is ignored', async ([, frame]) => {
      const { agent, key } = await session();
      const surface = await Surface.attach(server().url, key);
      surface.send(frame);
      const stream = await (await agent.stream('Go on.')).whole();
      const { chunk_id } = await surface.next('TURN_COMPLETE');
      expect(surface.text(chunk_id)).toBe(stream.text());
      expect(surface.of('SESSION_ATTACHED')).toHaveLength(1);
    });

    // [SBP-WS-03]
    it.for(BREAKING)('%s at any time is PROTOCOL_ERROR and 1003', async ([, sent]) => {
      const { agent, key } = await session();
      const surface = await Surface.attach(server().url, key);
      surface.sendRaw(sent);
      expect(await surface.closed).toBe(1003);
      expect(surface.frames.map(({ type }) => type)).toEqual([
        'SESSION_ATTACHED',
        'PROTOCOL_ERROR',
      ]);
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({
          surface: null,
          queued_turns: 0,
        });
      });
    });

    // [SBP-WS-11]
    it('a path that is none of a session has no socket', async () => {
      const { url } = server();
      for (const path of ['/v1/sbp/ws/', `/v1/sbp/ws/${randomUUID()}/more`]) {
        expect(await refusedUpgrade(url, path, {})).toBe(404);
      }
    });

    // [SBP-WS-01] The last of these tests, so that the others pass while it waits.
    it('a first frame that does not come within 60 s closes the socket with 1003', async () => {
      expect(await silent.closed).toBe(1003);
      expect(silent.frames.map(({ type }) => type)).toEqual(['PROTOCOL_ERROR']);
    }, 90_000);
  });
}
