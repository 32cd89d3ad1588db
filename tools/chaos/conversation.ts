import { setTimeout as delay } from 'node:timers/promises';
import type {
  Call,
  Cancellation,
  Connection,
  ConversationHistory,
  Manner,
  Read,
  Reading,
  TurnRead,
} from './history.js';
import { DEATHS, Device } from './device.js';
import type { CompletionCall, CompletionResult } from './http-caller.js';
import { complete } from './http-caller.js';
import type { Random } from './random.js';
import { cancelTurn, decideCall, readMessages, readSession } from './session-reader.js';
import { Surface, TOOL } from './surface.js';
import { readTurn } from './turn-reader.js';

/** Turns of one conversation: then another begins, so that sessions are opened all the time. */
const CALLS = { least: 10, most: 18 };
/** A turn's length, in ms. */
const TURN = { least: 300, most: 1_800 };
/** Of those that last longer than a process that is asked to stop lets its turns go on, in ms. */
const LONG_TURN = { least: 8_000, most: 11_000 };
const LONG_SHARE = 0.06;
/** Calls that come together with another one. */
const TOGETHER_SHARE = 0.2;
/** How the other one comes to the session, and how much later, in ms. */
const MANNERS: readonly Manner[] = [
  ...['plain', 'plain', 'plain', 'background', 'background'],
  ...['interrupt', 'reject'],
] as Manner[];
const LATER = { least: 0, most: 400 };
/** Calls with a key, that are repeated until they are answered. */
const KEYED_SHARE = 0.12;
const KEYED_TRIES = 40;
/** Calls that are repeated as OpenAI's clients do, and how often at most. */
const COUNTED_SHARE = 0.08;
const COUNTED_TRIES = 6;
/** How many turns are read on by their ids while they run. */
const READ_SHARE = 0.1;
/** Calls that do not wait for their turn. */
const BACKGROUND_SHARE = 0.04;
/** Turns that somebody stops. */
const CANCELLED_SHARE = 0.1;
/** Callers that stop reading, and those that read slowly. */
const STALLING_SHARE = 0.004;
const STEADY_SHARE = 0.02;
/** Words of an answer that no connection holds, as a model says them that pauses for nothing. */
const HUGE = 60_000;
/** Words of an answer that takes a slow reader a while. */
const LARGE = 8_000;
/** Turns whose model calls the surface's tool, and how. */
const TOOL_SHARE = 0.4;
const TOOL_CALLS = [
  { how: ` call=${TOOL}`, rounds: 1, count: 1 },
  { how: ` call=${TOOL} call=${TOOL}`, rounds: 1, count: 2 },
  { how: ` call=${TOOL} rounds=2`, rounds: 2, count: 2 },
];

/** Conversations whose calls of the tool wait for the next surface when theirs goes. */
const WAITING_SHARE = 0.4;
/** Turns whose calls of the tool wait for an approval, and how many of these are allowed. */
const ASKING_SHARE = 0.25;
const ALLOWED_SHARE = 0.75;
/** Surfaces that die with a call of their tool. */
const DYING_SHARE = 0.35;
/** How long calls wait, in seconds; how often it is tried to decide about one. */
const WAIT_SECONDS = 6;
const DECIDING_TRIES = 10;

/** Before a caller or surface that failed tries again, in ms. */
const RETRY = { least: 100, most: 500 };
/** How long a surface stays, and how long it is away, in ms: long enough for several turns. */
const STAY = { least: 300, most: 4_000 };
/** How long some stay, in ms: they see a turn's runner die, and another go on with it. */
const LONG_STAY = { least: 6_000, most: 14_000 };
const AWAY = { least: 200, most: 3_500 };
const ATTACH_PATIENCE_MS = 30_000;

/** What a run needs of its conversations besides what they do at random. */
export interface Wishes {
  /** How many of the next turns are to last longer than a stopping process waits. */
  long: number;
}

/** A call that has not been answered yet; in `Date.now()`. */
export interface WaitingCall {
  readonly begunAt: number;
  /** When its answer will have been said, if its turn runs at once. */
  readonly endsAt: number;
}

/**
 * One agent with its session: its callers one after the other, sometimes two at once, and a surface
 * that comes and goes.
 */
export class Conversation {
  readonly calls: Call[] = [];
  readonly reads: Read[] = [];
  readonly cancellations: Cancellation[] = [];
  readonly streams: TurnRead[] = [];
  readonly connections: Connection[] = [];
  /** When a surface was first answered; Infinity before. */
  firstAttachedAt = Infinity;
  private current: { readonly id: string; readonly token: string } | null = null;
  private readonly surfaces = new Set<Surface>();
  private readonly device = new Device();
  /** The calls that callers wait for, by their markers. */
  private readonly waiting = new Map<string, WaitingCall>();
  private readonly callsWait: boolean;
  private made = 0;
  /** Calls that a server took. */
  private reached = 0;

  constructor(
    readonly name: string,
    private readonly url: string,
    private readonly random: Random,
    /** Without: its first surface comes when all is over. */
    private readonly hasSurface: boolean,
    private readonly wishes: Wishes,
  ) {
    this.callsWait = random.chance(WAITING_SHARE);
  }

  get session(): { readonly id: string; readonly token: string } | null {
    return this.current;
  }

  /** The call that its caller waits for; null where there is none, or more than one. */
  get waitingCall(): WaitingCall | null {
    const [call, other] = this.waiting.values();
    return call === undefined || other !== undefined ? null : call;
  }

  /** Talks until it is done or told to stop. */
  async run(stopped: AbortSignal): Promise<void> {
    const over = new AbortController();
    const surface = this.hasSurface
      ? this.comeAndGo(AbortSignal.any([stopped, over.signal]))
      : Promise.resolve();
    const calls = this.random.between(CALLS.least, CALLS.most);
    while (this.reached < calls && !stopped.aborted) {
      await Promise.all([this.callOnce(this.random.chance(0.15)), this.maybeAnother()]);
      if (this.random.chance(0.2)) await this.read();
      const failed = this.calls.at(-1)?.outcome.type !== 'answered';
      await pause(
        failed ? this.random.between(RETRY.least, RETRY.most) : this.random.between(0, 200),
        stopped,
      );
    }
    over.abort();
    await surface;
  }

  /** One call with a message of its own. It names the session as soon as that is known. */
  async callOnce(vanishes: boolean, manner = this.drawManner()): Promise<Call> {
    const { random } = this;
    const marker = `${this.name}-${++this.made}`;
    const { how, length, reading, stream, toolCalls } = this.drawTurn();
    const begunAt = Date.now();
    this.waiting.set(marker, { begunAt, endsAt: begunAt + length });
    const stopping = this.mayStop() ? this.stopAfter(random.between(20, length)) : null;
    const isKeyed = manner === 'keyed';
    const stays = isKeyed || manner === 'counted';
    const readingOn = random.chance(READ_SHARE) ? this.readRunning() : null;
    const wish = {
      url: this.url,
      agentId: this.name,
      session: this.current,
      message: `${marker}\ndemo: ${how} vary`,
      sbp: { ...sbpOf(manner), ...(toolCalls > 0 ? this.drawPolicy() : {}) },
      key: isKeyed ? marker : null,
      retryCount: null,
      stream,
      reading,
      vanishAfterMs:
        vanishes && !stays && reading === 'eagerly' ? random.between(20, length) : null,
    };
    const { outcome, session, undecided } = await this.ask(manner, wish);
    this.waiting.delete(marker);
    const deciding = undecided.map((callId) => this.decide(session, callId));
    await Promise.all([stopping, readingOn, ...deciding]);
    if (outcome.type !== 'unreached') this.reached++;
    // The first answer that is whole says which session it is; a broken one may be of a session
    // that was never opened.
    if (outcome.type === 'answered' || outcome.type === 'accepted') this.current ??= session;
    const about = { marker, begunAt, endedAt: Date.now(), reading, manner };
    const call = { ...about, toolCalls, outcome };
    this.calls.push(call);
    return call;
  }

  /**
   * A surface attaches, and is written down when its socket is closed; null where nobody took the
   * connection.
   */
  async attach(pongAfterMs: number | null): Promise<Surface | null> {
    if (this.current === null) return null;
    const name = `${this.name}/${this.connections.length + this.surfaces.size + 1}`;
    const surface = await Surface.attach(
      name,
      { url: this.url, ...this.current },
      {
        pongAfterMs,
        device: this.device,
        diesAt: this.random.chance(DYING_SHARE) ? this.random.pick(DEATHS) : null,
      },
    );
    if (surface === null) return null;
    this.surfaces.add(surface);
    void surface.closed.then(() => {
      this.surfaces.delete(surface);
      this.connections.push(surface.history());
    });
    await surface.until(() => surface.frames.length > 0, ATTACH_PATIENCE_MS);
    this.firstAttachedAt = Math.min(this.firstAttachedAt, surface.attachedAt ?? Infinity);
    return surface;
  }

  history(ending: Pick<ConversationHistory, 'acknowledged' | 'found'>): ConversationHistory {
    const { name, callsWait, calls, reads, cancellations, streams, connections } = this;
    const sessionId = this.current?.id ?? '';
    const { counted } = this.device;
    const said = { calls, reads, cancellations, streams, connections };
    return { name, sessionId, callsWait, ...said, ...ending, counted, kept: null };
  }

  /** Some calls come while another one is being answered. */
  private async maybeAnother(): Promise<void> {
    if (!this.random.chance(TOGETHER_SHARE)) return;
    await delay(this.random.between(LATER.least, LATER.most));
    await this.callOnce(this.random.chance(0.15), this.random.pick(MANNERS));
  }

  private drawManner(): Manner {
    const kind = this.random.next();
    if (kind < KEYED_SHARE) return 'keyed';
    if (kind < KEYED_SHARE + COUNTED_SHARE) return 'counted';
    return kind < KEYED_SHARE + COUNTED_SHARE + BACKGROUND_SHARE ? 'background' : 'plain';
  }

  private ask(manner: Manner, wish: CompletionCall): Promise<CompletionResult> {
    switch (manner) {
      case 'keyed':
        return this.repeat(wish);
      case 'counted':
        return this.count(wish);
      case 'plain':
      case 'background':
      case 'interrupt':
      case 'reject':
        return complete(wish);
    }
  }

  /** As OpenAI's clients do: again where no answer has begun, and nothing says not to. */
  private async count(wish: CompletionCall): Promise<CompletionResult> {
    let told = false;
    for (let retryCount = 0; ; retryCount++) {
      const result = await complete({ ...wish, retryCount });
      const { outcome } = result;
      const isOpen =
        outcome.type === 'unreached' ||
        (outcome.type === 'broken' && !outcome.begun) ||
        (outcome.type === 'refused' && outcome.status === 503 && outcome.mayRetry);
      told ||= outcome.type === 'refused';
      if (!isOpen || retryCount === COUNTED_TRIES) {
        // Of what came before the last try nothing is known.
        return isOpen && retryCount > 0
          ? { ...result, outcome: { type: 'vanished', told } }
          : result;
      }
      await delay(this.random.between(500, 1_500));
    }
  }

  private drawPolicy(): object {
    const asks = this.random.chance(ASKING_SHARE);
    return {
      ...(asks ? { approve: [TOOL] } : {}),
      ...(this.callsWait ? { on_surface_lost: 'wait' } : {}),
      wait_seconds: WAIT_SECONDS,
    };
  }

  /** Decides about a call until that is known to have come; then it is decided, or over. */
  private async decide(session: CompletionResult['session'], callId: string): Promise<void> {
    if (session === null) return;
    const approve = this.random.chance(ALLOWED_SHARE);
    for (let tries = 1; tries <= DECIDING_TRIES; tries++) {
      if (await decideCall({ url: this.url, ...session }, callId, approve)) return;
      await delay(this.random.between(RETRY.least, RETRY.most));
    }
  }

  /** Reads the turn on that runs a moment from now, by its id. */
  private async readRunning(): Promise<void> {
    await delay(this.random.between(50, 400));
    if (this.current === null) return;
    const address = { url: this.url, ...this.current };
    const turnId = (await readSession(address))?.turn_in_flight ?? null;
    if (turnId !== null) this.streams.push(await readTurn(address, turnId));
  }

  /** Asks twice at once, and each again with the same key until it has its answer. */
  private async repeat(wish: CompletionCall): Promise<CompletionResult> {
    const [first] = await Promise.all([this.untilAnswered(wish), this.untilAnswered(wish)]);
    return first;
  }

  /** What comes of it is the answer, or that it was stopped; else nothing is known. */
  private async untilAnswered(wish: CompletionCall): Promise<CompletionResult> {
    for (let tries = 1; ; tries++) {
      const result = await complete(wish);
      const { outcome } = result;
      const isFinal =
        ['answered', 'accepted'].includes(outcome.type) ||
        (outcome.type === 'refused' && outcome.status === 409);
      if (isFinal) return result;
      if (outcome.type === 'broken' && outcome.told === 'SBP_TURN_CANCELLED') return result;
      if (tries === KEYED_TRIES) return { ...result, outcome: { type: 'vanished' } };
      await delay(this.random.between(RETRY.least, RETRY.most));
    }
  }

  /** What the model is asked for, and how its answer is read. */
  private drawTurn(): {
    readonly how: string;
    /** In ms; 0 where nothing but the reader takes time. */
    readonly length: number;
    readonly reading: Reading;
    readonly stream: boolean;
    readonly toolCalls: number;
  } {
    const { random } = this;
    const kind = random.next();
    const isWanted = this.wishes.long > 0 && this.current !== null;
    if (isWanted) this.wishes.long--;
    else if (kind < STALLING_SHARE + STEADY_SHARE) {
      const reading = kind < STALLING_SHARE ? 'stalling' : 'steadily';
      const tokens = reading === 'stalling' ? HUGE : LARGE;
      const how = `ttft=10 tokens=${tokens} interval=0`;
      return { how, length: 0, reading, stream: true, toolCalls: 0 };
    }
    const range = isWanted || random.chance(LONG_SHARE) ? LONG_TURN : TURN;
    const length = random.between(range.least, range.most);
    const ttft = random.between(10, 120);
    const tokens = random.between(8, 40);
    const how = `ttft=${ttft} tokens=${tokens} interval=${Math.round((length - ttft) / tokens)}`;
    const stream = random.chance(0.6);
    const turn = { how, length, reading: 'eagerly', stream, toolCalls: 0 } as const;
    if (range === LONG_TURN || !random.chance(TOOL_SHARE)) return turn;
    // The model says as much before each round of calls, and in the end.
    const { how: calls, rounds, count } = random.pick(TOOL_CALLS);
    return { ...turn, how: how + calls, length: length * (rounds + 1), toolCalls: count };
  }

  private async comeAndGo(stopped: AbortSignal): Promise<void> {
    const { random } = this;
    while (!stopped.aborted) {
      // Most surfaces acknowledge at once, some late, some never.
      const pong = random.pick([0, 0, 0, 0, random.between(50, 300), null]);
      const surface = await this.attach(pong);
      if (surface === null) {
        await pause(random.between(RETRY.least, RETRY.most), stopped);
        continue;
      }
      const stay = random.chance(0.25) ? LONG_STAY : STAY;
      await Promise.race([surface.closed, pause(random.between(stay.least, stay.most), stopped)]);
      const wasClosed = !surface.isOpen;
      await this.leave(surface, stopped);
      const away = wasClosed ? RETRY : AWAY;
      await pause(random.between(away.least, away.most), stopped);
    }
    await Promise.all([...this.surfaces].map((surface) => surface.vanish()));
  }

  private async leave(surface: Surface, stopped: AbortSignal): Promise<void> {
    if (!surface.isOpen) return;
    const how = this.random.next();
    if (how < 0.4) await surface.vanish();
    else if (how < 0.6) await surface.detach();
    else if (how < 0.8) await surface.leave();
    else if (how < 0.9) {
      // Another one takes over; the server closes this one.
      const next = await this.attach(0);
      await Promise.race([surface.closed, pause(5_000, stopped)]);
      await next?.vanish();
    } else {
      await surface.vanish();
      // Some are back at once.
      const next = await this.attach(0);
      await pause(this.random.between(STAY.least, STAY.most), stopped);
      await next?.vanish();
    }
  }

  /** Not where a call is waited for that is to last long: what is killed is chosen by it. */
  private mayStop(): boolean {
    const now = Date.now();
    const calls = [...this.waiting.values()];
    return (
      this.current !== null &&
      calls.every(({ begunAt, endsAt }) => begunAt < endsAt && endsAt - now <= TURN.most) &&
      this.random.chance(CANCELLED_SHARE)
    );
  }

  private async stopAfter(ms: number): Promise<void> {
    await delay(ms);
    if (this.current === null) return;
    const begunAt = Date.now();
    const told = await cancelTurn({ url: this.url, ...this.current });
    this.cancellations.push({ begunAt, told });
  }

  private async read(): Promise<void> {
    if (this.current === null) return;
    const begunAt = Date.now();
    const messages = await readMessages({ url: this.url, ...this.current });
    if (messages !== null)
      this.reads.push({ begunAt, turnIds: messages.map(({ turnId }) => turnId) });
  }
}

function sbpOf(manner: Manner): object {
  switch (manner) {
    case 'plain':
    case 'keyed':
    case 'counted':
      return {};
    case 'background':
      return { background: true };
    case 'interrupt':
    case 'reject':
      return { on_conflict: manner };
  }
}

/** Ends early when it is aborted. */
async function pause(ms: number, stopped: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: stopped }).catch(() => undefined);
}
