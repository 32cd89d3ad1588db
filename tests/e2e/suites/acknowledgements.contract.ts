import { describe, expect, it } from 'vitest';
import { Agent, steered } from '../clients/agent.js';
import { ACKNOWLEDGES, Surface } from '../clients/surface.js';
import type { SessionKey, SurfaceOptions } from '../clients/surface.js';
import { eventually } from '../clients/waiting.js';
import type { GetServer } from '../topology/server.js';
import { visit } from './tether.contract.js';

const SILENT: SurfaceOptions = { autoPong: false };
const SIMPLE: SurfaceOptions = {};

type Leaving = (surface: Surface) => Promise<unknown>;
const leaving = {
  DETACH: (surface) => surface.detach(),
  'closing with 1000': (surface) => surface.close(1000),
  'closing with 1001': (surface) => surface.close(1001),
  'closing with another code': (surface) => surface.close(4321),
  'being cut off': (surface) => surface.drop(),
} satisfies Record<string, Leaving>;

export function acknowledgements(server: GetServer): void {
  /** A session with one turn in its Tether. */
  async function oneTurnQueued(): Promise<{ agent: Agent; key: SessionKey }> {
    const { url } = server();
    const agent = new Agent(url);
    const { sbp: key } = await agent.turn('Hello.');
    await visit(url, key);
    await agent.turn('While nobody is there.');
    return { agent, key };
  }

  /** A surface that has all of the drain, and the PING after it. */
  async function drainedSurface(key: SessionKey, options: SurfaceOptions): Promise<Surface> {
    const surface = await Surface.attach(server().url, key, options);
    await surface.next('PING');
    await surface.until(({ pings }) => pings > 0 || options.autoPong === false);
    return surface;
  }

  /** How many turns a surface finds when it attaches next. */
  async function queuedNext({ key, agent }: { agent: Agent; key: SessionKey }): Promise<number> {
    await eventually(async () => {
      expect(await agent.session(key.session_id)).toMatchObject({ surface: null });
    });
    return (await Surface.attach(server().url, key)).attached.queued_turns;
  }

  describe('§4 a turn leaves the queue when the surface has shown that it read it', () => {
    // [SBP-L2-31] [SBP-L2-33]
    it('a PONG acknowledges what came before its PING: never drained again', async () => {
      const { agent, key } = await oneTurnQueued();
      const surface = await Surface.attach(server().url, key, ACKNOWLEDGES);
      await surface.acknowledge();
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({ queued_turns: 0 });
      });
      await surface.drop();
      expect(await queuedNext({ agent, key })).toBe(0);
    });

    // [SBP-L2-33] [SBP-L2-35]
    it('without one the same turns come again, with the same turn_id and seq', async () => {
      const { agent, key } = await oneTurnQueued();
      const surface = await drainedSurface(key, ACKNOWLEDGES);
      const [drained] = surface.of('TETHER_TURN');
      await surface.drop();
      await agent.turn('Another one.');
      const again = await drainedSurface(key, ACKNOWLEDGES);
      expect(again.of('SESSION_ATTACHED')[0]?.queued_turns).toBe(2);
      expect(again.of('TETHER_TURN')[0]).toEqual(drained);
      expect(again.of('TETHER_TURN').map(({ seq }) => seq)).toEqual([1, 2]);
    });

    // [SBP-L2-33]
    it.for(Object.entries(leaving))('%s acknowledges nothing by itself', async ([, leave]) => {
      const session = await oneTurnQueued();
      await leave(await drainedSurface(session.key, ACKNOWLEDGES));
      expect(await queuedNext(session)).toBe(1);
    });

    // [SBP-L2-34]
    it.for(['DETACH', 'closing with 1000', 'closing with 1001'] as const)(
      "a simple client acknowledges by %s after its library's pong",
      async (how) => {
        const session = await oneTurnQueued();
        await leaving[how](await drainedSurface(session.key, SIMPLE));
        expect(await queuedNext(session)).toBe(0);
      },
    );

    it.for(['closing with another code', 'being cut off'] as const)(
      'a simple client acknowledges nothing by %s at once',
      async (how) => {
        const session = await oneTurnQueued();
        await leaving[how](await drainedSurface(session.key, SIMPLE));
        expect(await queuedNext(session)).toBe(1);
      },
    );

    it.for(['DETACH', 'closing with 1000'] as const)(
      'a client whose library answers no ping acknowledges nothing by %s',
      async (how) => {
        const session = await oneTurnQueued();
        await leaving[how](await drainedSurface(session.key, SILENT));
        expect(await queuedNext(session)).toBe(1);
      },
    );

    // [SBP-L2-34]
    it('a simple client acknowledges by staying', async () => {
      const { agent, key } = await oneTurnQueued();
      const surface = await drainedSurface(key, SIMPLE);
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({ queued_turns: 0 });
      });
      await surface.drop();
      expect(await queuedNext({ agent, key })).toBe(0);
    });

    // [SBP-L2-34]
    it('who has sent a PONG once is not simple any more', async () => {
      const session = await oneTurnQueued();
      const surface = await Surface.attach(server().url, session.key, SIMPLE);
      await surface.acknowledge();
      await session.agent.turn('Live.');
      await surface.next('TURN_COMPLETE');
      await surface.next('PING');
      await surface.until(({ pings }) => pings > 1);
      await surface.close(1000);
      expect(await queuedNext(session)).toBe(1);
    });

    // [SBP-L2-30] [SBP-L2-31]
    it('a PONG never acknowledges what came after its PING; the next PING follows at once', async () => {
      const session = await oneTurnQueued();
      const surface = await Surface.attach(server().url, session.key, ACKNOWLEDGES);
      await surface.next('PING');
      await session.agent.turn('Live.');
      expect((await surface.next('TURN_COMPLETE')).seq).toBe(2);
      // At most one is outstanding.
      expect(surface.of('PING')).toHaveLength(1);
      surface.pong();
      await surface.next('PING');
      await surface.drop();
      await eventually(async () => {
        expect(await session.agent.session(session.key.session_id)).toMatchObject({
          surface: null,
          queued_turns: 1,
        });
      });
      const again = await drainedSurface(session.key, ACKNOWLEDGES);
      expect(again.of('TETHER_TURN').map(({ seq }) => seq)).toEqual([2]);
    });

    // [SBP-L2-32]
    it('a PONG that no PING asked for is ignored', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, key, ACKNOWLEDGES);
      surface.pong();
      await agent.turn('Live.');
      await surface.next('PING');
      await surface.drop();
      expect(await queuedNext({ agent, key })).toBe(1);
    });

    // [SBP-L2-30]
    it('a live turn is acknowledged by the PONG after its end', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp: key } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, key, ACKNOWLEDGES);
      for (const text of ['One.', 'Two.']) {
        await (await agent.stream(text)).whole();
        await surface.next('TURN_COMPLETE');
        await surface.acknowledge();
      }
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({ queued_turns: 0 });
      });
      await surface.drop();
      expect(await queuedNext({ agent, key })).toBe(0);
    });

    // [SBP-WS-07]
    it('a client that gives no sign of life within 10 s of a PING is closed with 4008, and its Tether is on', async () => {
      const { agent, key } = await oneTurnQueued();
      const surface = await drainedSurface(key, SILENT);
      expect(await surface.closed).toBe(4008);
      await eventually(async () => {
        expect(await agent.session(key.session_id)).toMatchObject({
          surface: null,
          queued_turns: 1,
        });
      });
    });

    // [SBP-WS-06]
    it('nothing is written after a DETACH, also in the middle of a turn', async () => {
      const { url } = server();
      const agent = new Agent(url);
      const { sbp } = await agent.turn('Hello.');
      const surface = await Surface.attach(url, sbp);
      const stream = await agent.stream(steered('interval=50 tokens=60', 'Go on.'));
      await surface.next('TURN_CHUNK');
      expect(await surface.detach()).toBe(1000);
      expect(surface.of('TURN_COMPLETE')).toEqual([]);
      const [chunk] = surface.of('TURN_CHUNK');
      const seen = surface.text(chunk?.chunk_id ?? '');
      await stream.whole();
      expect(stream.text().startsWith(seen)).toBe(true);
      expect(seen.length).toBeLessThan(stream.text().length);
      expect(await queuedNext({ agent, key: sbp })).toBe(1);
    });
  });
}
