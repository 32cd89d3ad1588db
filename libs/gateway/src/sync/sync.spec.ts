import type { OpenSession, OpenTurn } from '#libs/domain';
import type { MailboxMessageOf } from '#libs/mailbox';
import type { ServerFrame, SurfaceContext } from '#libs/protocol';
import type { OwedTurn, SurfaceView } from '#libs/store';
import type { Arbitrary } from 'fast-check';
import {
  assert,
  asyncProperty,
  boolean,
  constant,
  nat,
  oneof,
  record,
  string,
  array,
} from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UNWATCHED } from '../testing/unwatched.js';
import { Acknowledger } from '../acknowledgement/acknowledger.js';
import { SurfaceOutput } from '../socket/surface-output.js';
import type { SendOutcome } from '../socket/surface-socket.js';
import { SurfaceSocket } from '../socket/surface-socket.js';
import { SurfaceTimings } from '../surface-timings.js';
import { SurfaceSync } from './sync.js';

const SESSION = '7f0c8b0e-9a51-4a55-8ad4-2e21a0a5a1b2';
const GATEWAY = { slot: 0, incarnation: '8f0c8b0e-9a51-4a55-8ad4-2e21a0a5a1b2' };
const RUNNER = { slot: 1, incarnation: '9f0c8b0e-9a51-4a55-8ad4-2e21a0a5a1b2' };
const CONTEXT = {};

/** A socket whose frames are kept; each leaves when the world says so. */
class KeptSocket extends SurfaceSocket {
  override readonly bufferedBytes = 0;
  readonly frames: ServerFrame[] = [];
  private leaving: (() => void)[] = [];

  override send(frame: ServerFrame): Promise<SendOutcome> {
    this.frames.push(frame);
    return new Promise((resolve) => {
      this.leaving.push(() => resolve('written'));
    });
  }

  flush(): void {
    for (const leave of this.leaving.splice(0)) leave();
  }

  override ping(): void {
    // Nobody answers.
  }

  override close(): void {
    throw new Error('closed');
  }
}

/** One session with one surface, whose mailbox loses, repeats and delays what it likes. */
class World {
  readonly socket = new KeptSocket();
  readonly sync: SurfaceSync;
  readonly committed: OwedTurn[] = [];
  open: OpenTurn | null = null;
  /** Adoptions, and turns whose committed text is not what was said. */
  mishaps = 0;
  /** What attempts said whose runner died. */
  readonly abandoned: string[] = [];
  /** What the attempt that runs now has said. */
  text = '';
  private epoch = 0;
  private watch: MailboxMessageOf<'watch'> | null = null;
  private dead: MailboxMessageOf<'watch'> | null = null;
  private sent = 0;
  private owed = 0;

  constructor(context: SurfaceContext = CONTEXT) {
    const timings = new SurfaceTimings();
    const output = new SurfaceOutput(SESSION, this.socket, timings, () => {
      throw new Error('stalled');
    });
    const acknowledger = new Acknowledger(output, timings, {
      acknowledged: () => {
        throw new Error('nobody acknowledges');
      },
      unresponsive: () => {
        throw new Error('unresponsive');
      },
    });
    this.stop = () => acknowledger.stop();
    this.sync = new SurfaceSync(
      {
        sessionId: SESSION,
        attachId: SESSION,
        by: { principal: 'anonymous', via: 'surface' },
        context,
        token: 'token',
        generation: 0,
        cursor: 0,
      },
      {
        gateway: GATEWAY,
        timings,
        ...UNWATCHED,
        reads: {
          view: (_, written) => Promise.resolve(this.view(written)),
          owed: (_, after, upTo) => Promise.resolve(this.page(after, upTo)),
        },
        tools: { toTell: () => Promise.resolve([]) },
        mailbox: {
          send: (_, message) => {
            if (message.type === 'watch') this.watched(message);
            return Promise.resolve();
          },
        },
      },
      output,
      acknowledger,
      {
        ended: (end) => {
          throw new Error(end.type);
        },
        failed: (error) => {
          throw error;
        },
      },
    );
  }

  readonly stop: () => void;

  start(): void {
    if (this.open !== null) return;
    this.text = '';
    this.watch = null;
    const number = this.committed.length + 1;
    const turnId = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
    this.open = {
      turnId,
      number,
      epoch: ++this.epoch,
      runner: RUNNER,
      ...{ adoptions: 0, rounds: 0, resultBytes: 0 },
      parked: false,
      startedAt: '2026-05-10T15:05:00.000Z',
    };
  }

  adopt(): void {
    if (this.open === null) return;
    this.mishaps++;
    this.abandoned.push(this.text);
    this.dead = this.watch;
    this.text = '';
    this.watch = null;
    this.open = { ...this.open, epoch: ++this.epoch };
  }

  /** The runner produces text and tells it to who watches; `lost`: it does not arrive. */
  say(delta: string, lost: boolean): void {
    if (this.open === null) return;
    this.text += delta;
    this.tell(lost);
  }

  /** What was told before is told once more. */
  repeat(back: number): void {
    this.sent = Math.max(0, this.sent - back);
    this.tell(false);
  }

  /** The runner that was given up last goes on. */
  haunt(): void {
    const text = this.abandoned.pop();
    if (text === undefined) return;
    this.abandoned.push(`${text}boo`);
    if (this.dead === null) return;
    const { turn_id, epoch, attach_id } = this.dead;
    const message = {
      session_id: SESSION,
      turn_id,
      epoch,
      attach_id,
      offset: text.length,
      text: 'boo',
    };
    this.sync.accept({ type: 'live', ...message });
  }

  complete(rewritten: boolean): void {
    if (this.open === null) return;
    if (rewritten) this.mishaps++;
    const { turnId, number, epoch } = this.open;
    this.committed.push({
      turnId,
      number,
      epoch,
      seq: ++this.owed,
      status: 'completed',
      text: rewritten ? `~${this.text}` : this.text,
      modelUsed: null,
      costUsd: null,
      toolCalls: [],
      error: null,
      createdAt: '2026-05-10T15:05:00.000Z',
    });
    this.open = null;
    this.watch = null;
  }

  async settle(): Promise<void> {
    // A frame leaves, then what follows from that: each takes a few turns of the microtask queue.
    for (let turn = 0; turn < 3; turn++) {
      this.socket.flush();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async finish(): Promise<void> {
    for (let before = -1; before !== this.socket.frames.length;) {
      before = this.socket.frames.length;
      this.sync.ask();
      await this.settle();
    }
  }

  private watched(message: MailboxMessageOf<'watch'>): void {
    if (message.turn_id !== this.open?.turnId || message.epoch !== this.open.epoch) return;
    this.watch = message;
    this.sent = message.offset;
    this.tell(false);
  }

  private tell(lost: boolean): void {
    if (this.watch === null) return;
    const { turn_id, epoch, attach_id } = this.watch;
    const offset = this.sent;
    const text = this.text.slice(offset);
    this.sent = this.text.length;
    if (!lost)
      this.sync.accept({
        type: 'live',
        session_id: SESSION,
        turn_id,
        epoch,
        attach_id,
        offset,
        text,
      });
  }

  private view(written: number): SurfaceView {
    return {
      session: session(this.open, this.committed.length),
      owed: this.page(written, this.committed.length),
    };
  }

  private page(after: number, upTo: number): readonly OwedTurn[] {
    return this.committed.filter(({ seq }) => seq > after && seq <= upTo).slice(0, 2);
  }
}

function session(turn: OpenTurn | null, head: number): OpenSession {
  return {
    phase: 'open',
    epoch: 1,
    principal: 'anonymous',
    agentId: 'anonymous',
    life: { type: 'active' },
    begun: true,
    tokenGeneration: 0,
    createdAt: '2026-05-10T15:05:00.000Z',
    updatedAt: '2026-05-10T15:05:00.000Z',
    openedEpoch: 1,
    turn,
    turns: 0,
    withdrawn: 0,
    waiting: [],
    queued: 0,
    queuedIds: [],
    steps: 0,
    costUsd: 0,
    messages: 0,
    bytes: 0,
    systemTurn: 0,
    base: null,
    baseEnd: 0,
    notes: [],
    checkpoint: null,
    head,
    cursor: 0,
    surface: {
      type: 'attached',
      attachment: {
        attachId: SESSION,
        gateway: GATEWAY,
        context: CONTEXT,
        attachedAt: '2026-05-10T15:05:00.000Z',
      },
    },
    calls: [],
    called: 0,
    clientCalls: [],
    attachIds: [SESSION],
    takeovers: [],
    unowed: [],
  };
}

/** What a client makes of its frames, by the contract's words alone. */
function readFrames(frames: readonly ServerFrame[]) {
  const attempts = new Map<string, string>();
  const replaced = new Set<string>();
  const turns: { turnId: string; text: string }[] = [];
  for (const frame of frames) {
    if (frame.type === 'TETHER_TURN') turns.push({ turnId: frame.turn_id, text: frame.content });
    if (frame.type === 'TURN_CHUNK') {
      const text = attempts.get(frame.chunk_id) ?? '';
      expect(replaced).not.toContain(frame.chunk_id);
      expect(frame.offset).toBe(Array.from(text).length);
      if (frame.replaces !== undefined) {
        expect(attempts.has(frame.replaces)).toBe(true);
        replaced.add(frame.replaces);
      }
      attempts.set(frame.chunk_id, text + frame.delta);
    }
    if (frame.type === 'TURN_COMPLETE') {
      expect(replaced).not.toContain(frame.chunk_id);
      expect(frame.seq).toBe(turns.length + 1);
      turns.push({ turnId: frame.turn_id, text: attempts.get(frame.chunk_id) ?? '' });
      attempts.delete(frame.chunk_id);
    }
  }
  // An attempt that was neither replaced nor completed is the one that is live.
  const unfinished = [...attempts].filter(([id]) => !replaced.has(id)).map(([, text]) => text);
  expect(unfinished.length).toBeLessThanOrEqual(1);
  return { turns, unfinished: unfinished[0] ?? '', replaced: replaced.size };
}

const step = oneof(
  constant({ type: 'start' as const }),
  constant({ type: 'adopt' as const }),
  record({
    type: constant('say' as const),
    delta: string({ unit: 'binary', maxLength: 4 }),
    lost: boolean(),
  }),
  record({ type: constant('repeat' as const), back: nat(6) }),
  constant({ type: 'haunt' as const }),
  record({ type: constant('complete' as const), rewritten: boolean() }),
  constant({ type: 'poke' as const }),
  constant({ type: 'settle' as const }),
);

type Step = typeof step extends Arbitrary<infer T> ? T : never;

async function take(world: World, next: Step): Promise<void> {
  switch (next.type) {
    case 'start':
      world.start();
      return;
    case 'adopt':
      world.adopt();
      return;
    case 'say':
      world.say(next.delta, next.lost);
      return;
    case 'repeat':
      world.repeat(next.back);
      return;
    case 'haunt':
      world.haunt();
      return;
    case 'complete':
      world.complete(next.rewritten);
      return;
    case 'poke':
      world.sync.ask();
      return;
    case 'settle':
      await world.settle();
  }
}

describe('sync', () => {
  // [SBP-L2-35]
  it('brings every turn once, in order and whole, whatever is lost, repeated or delayed on the way', async () => {
    await assert(
      asyncProperty(
        array(step, { maxLength: 10 }),
        array(step, { maxLength: 40 }),
        async (before, after) => {
          const world = new World();
          for (const next of before) if (next.type !== 'poke') await take(world, next);
          const begun = world.sync.begin();
          await world.settle();
          await begun;
          for (const next of after) await take(world, next);
          await world.finish();
          world.stop();
          const { turns, unfinished, replaced } = readFrames(world.socket.frames);
          expect(turns).toEqual(world.committed.map(({ turnId, text }) => ({ turnId, text })));
          const said = world.open === null ? [''] : [world.text, ...world.abandoned];
          expect(said.some((text) => text.startsWith(unfinished))).toBe(true);
          // What is shown is replaced only where it must be.
          expect(replaced).toBeLessThanOrEqual(world.mishaps);
          const [first] = world.socket.frames;
          if (first?.type !== 'SESSION_ATTACHED')
            throw new Error('SESSION_ATTACHED is not the first frame');
          const drained = world.socket.frames.slice(1, 1 + first.queued_turns);
          expect(drained.map((frame) => frame.type === 'TETHER_TURN' && frame.turn_index)).toEqual([
            ...drained.keys(),
          ]);
          expect(world.socket.frames.filter(({ type }) => type === 'TETHER_TURN')).toHaveLength(
            first.queued_turns,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  // [SBP-L4-07]
  it('brings a surface that does not stream every turn as one frame, numbered from the drain on', async () => {
    await assert(
      asyncProperty(
        array(step, { maxLength: 10 }),
        array(step, { maxLength: 30 }),
        async (...all) => {
          const [before, after] = all;
          const world = new World({ ui_capabilities: ['markdown'] });
          for (const next of before) if (next.type !== 'poke') await take(world, next);
          const begun = world.sync.begin();
          await world.settle();
          await begun;
          for (const next of after) await take(world, next);
          await world.finish();
          world.stop();
          const frames = world.socket.frames.filter(({ type }) => type !== 'PING').slice(1);
          expect(frames).toMatchObject(
            world.committed.map(({ turnId, text }, turn_index) => {
              return { type: 'TETHER_TURN', turn_id: turnId, content: text, turn_index };
            }),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('merges what comes while the socket is busy into one chunk', async () => {
    const world = new World();
    world.start();
    const begun = world.sync.begin();
    await world.settle();
    await begun;
    world.say('a', false);
    for (const delta of ['b', 'c', 'd']) world.say(delta, false);
    expect(world.socket.frames.filter(({ type }) => type === 'TURN_CHUNK')).toHaveLength(1);
    await world.settle();
    expect(world.socket.frames.slice(1)).toMatchObject([
      { type: 'TURN_CHUNK', delta: 'a' },
      { type: 'TURN_CHUNK', delta: 'bcd', offset: 1 },
    ]);
    world.stop();
  });

  it('writes live text in the very call that brings it, when the socket is idle', async () => {
    const world = new World();
    world.start();
    const begun = world.sync.begin();
    await world.settle();
    await begun;
    world.say('at once', false);
    expect(world.socket.frames.at(-1)).toMatchObject({ type: 'TURN_CHUNK', delta: 'at once' });
    world.stop();
  });

  it('holds back more text than may wait, and gets it from the runner when the socket has room', async () => {
    const world = new World();
    world.start();
    const begun = world.sync.begin();
    await world.settle();
    await begun;
    world.say('-', false);
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let delta = 0; delta < 3; delta++) world.say(megabyte, false);
    for (let round = 0; round < 5; round++) await world.settle();
    const lengths = world.socket.frames.map((frame) =>
      frame.type === 'TURN_CHUNK' ? frame.delta.length : 0,
    );
    expect(lengths.slice(1)).toEqual([1, megabyte.length, megabyte.length, megabyte.length]);
    world.complete(false);
    await world.finish();
    world.stop();
    expect(readFrames(world.socket.frames).turns).toEqual(
      world.committed.map(({ turnId, text }) => ({ turnId, text })),
    );
  });
});
