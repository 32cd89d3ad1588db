import { randomUUID } from 'node:crypto';
import type { OpenSession, PlainCommand } from '#libs/domain';
import type { MailboxMessageOf } from '#libs/mailbox';
import type { CallerPresence, LogEvent, OnSurfaceLost, ProcessAddress } from '#libs/protocol';
import { NO_TOOL_POLICY } from '#libs/protocol';
import { SYSTEM } from '#libs/session-log';
import type { TestBackend } from '#libs/testing';

/** One turn as its runner knows it. */
export interface AgentTurn {
  readonly turnId: string;
  readonly epoch: number;
  readonly runner: ProcessAddress;
}

/** What may become of calls besides being made at once. */
interface CallOptions {
  readonly needsApproval?: boolean;
  readonly onSurfaceLost?: OnSurfaceLost;
}

/**
 * The other end of a session: states what its runners state in the log, and is asked for live text
 * as they are.
 */
export class TestAgent {
  readonly sessionId: string = randomUUID();
  /** What gateways asked for, oldest first. */
  readonly watches: MailboxMessageOf<'watch'>[] = [];
  private lastEpoch = 0;
  private changed = Promise.withResolvers<undefined>();

  private constructor(private readonly backend: TestBackend) {}

  /** A session with these turns, each already told to its HTTP caller. */
  static async withTurns(backend: TestBackend, ...texts: readonly string[]): Promise<TestAgent> {
    const agent = new TestAgent(backend);
    for (const text of texts.length === 0 ? ['opening'] : texts) await agent.run(text, 'connected');
    return agent;
  }

  token(): Promise<string> {
    return this.backend.tokens.issue(this.sessionId, 0).then(({ token }) => token);
  }

  async start(): Promise<AgentTurn> {
    const runner = { slot: 1, incarnation: randomUUID() };
    await this.backend.mailbox.receive(runner, (message) => {
      if (message.type === 'watch') this.watches.push(message);
      this.changed.resolve(undefined);
      this.changed = Promise.withResolvers<undefined>();
    });
    const turn = { turnId: randomUUID(), epoch: ++this.lastEpoch, runner };
    await this.state({
      type: 'StartTurn',
      claim: turn,
      runner,
      request: {
        update: {
          keeps: 0,
          keptBytes: 0,
          messages: [{ role: 'user', content: 'Say something.' }],
          system: null,
        },
        model: 'test-model',
        options: {},
        toolPolicy: NO_TOOL_POLICY,
        checkpointEvery: 1,
        bodyHash: null,
        idempotencyKey: null,
      },
      opener: { principal: 'anonymous', agentId: 'anonymous' },
      entry: 'at-once',
    });
    return turn;
  }

  /** Another runner takes the turn over. */
  async adopt({ turnId, runner }: AgentTurn): Promise<AgentTurn> {
    const adopted = { turnId, epoch: ++this.lastEpoch, runner };
    await this.state({ type: 'AdoptTurn', claim: adopted, runner, handedOver: false });
    return adopted;
  }

  async complete(attempt: AgentTurn, text: string, caller: CallerPresence = 'gone'): Promise<void> {
    await this.state({
      type: 'CompleteTurn',
      claim: attempt,
      output: {
        messages: [{ role: 'assistant', content: text }],
        before: null,
        modelUsed: 'test-model-1',
        usage: null,
        costUsd: null,
        firstTokenMs: null,
        modelMs: 0,
        alternatives: [],
        finishReason: null,
      },
      checkpointEvery: 1,
      caller,
    });
  }

  /** The model calls the surface's tool, so often at once. */
  async call(
    attempt: AgentTurn,
    round: number,
    count = 1,
    { needsApproval = false, onSurfaceLost = 'fail' }: CallOptions = {},
  ): Promise<void> {
    await this.state({
      type: 'CallTools',
      claim: attempt,
      made: {
        round,
        message: { role: 'assistant', content: null },
        calls: Array.from({ length: count }, (_, at) => ({
          toolName: 'gps',
          toolInput: { at },
          sent: { type: 'to-surface', timeoutMs: 600_000, needsApproval },
        })),
        onSurfaceLost,
        waitMs: 60_000,
        resultBytes: 1_000_000,
        showsImages: false,
        usage: null,
        costUsd: null,
      },
    });
  }

  /** Its runner leaves a turn whose calls all wait. */
  async park(attempt: AgentTurn): Promise<void> {
    await this.state({ type: 'ParkTurn', claim: attempt });
  }

  /** A human allows the call that waits for that. */
  async approve(): Promise<void> {
    const [call] = (await this.session()).calls;
    const { callId = '' } = call ?? {};
    await this.state({ type: 'DecideCall', callId, approved: true, reason: null });
  }

  async session(): Promise<OpenSession> {
    const state = await this.backend.sessions.state(this.sessionId);
    if (state.phase !== 'open') throw new Error('it is not open');
    return state;
  }

  async fail(attempt: AgentTurn): Promise<void> {
    const error = { code: 'SBP_UPSTREAM_UNAVAILABLE', message: 'The model is not there.' };
    await this.state({
      type: 'FailTurn',
      claim: attempt,
      error,
      caller: 'gone',
      reachedModel: true,
      upstreamStatus: null,
      answer: null,
    });
  }

  /** A whole turn. */
  async run(text: string, caller: CallerPresence = 'gone'): Promise<AgentTurn> {
    const turn = await this.start();
    await this.complete(turn, text, caller);
    return turn;
  }

  async loseGateway(attachId: string): Promise<void> {
    await this.state({ type: 'DetachSurface', attachId, reason: 'gateway_lost' });
  }

  /** The next question of a gateway that fulfils the condition. */
  async asked(
    condition: (watch: MailboxMessageOf<'watch'>) => boolean = () => true,
  ): Promise<MailboxMessageOf<'watch'>> {
    for (;;) {
      const index = this.watches.findIndex(condition);
      const [watch] = index < 0 ? [] : this.watches.splice(index, 1);
      if (watch !== undefined) return watch;
      await this.changed.promise;
    }
  }

  /** Sends live text to whoever asked. */
  say(watch: MailboxMessageOf<'watch'>, offset: number, text: string, epoch = watch.epoch): void {
    const { session_id, turn_id, attach_id, reply_to } = watch;
    void this.backend.mailbox.send(reply_to, {
      type: 'live',
      session_id,
      turn_id,
      epoch,
      attach_id,
      offset,
      text,
    });
  }

  /** The last turn of the session that a surface acknowledged. */
  async cursor(): Promise<number> {
    const state = await this.backend.sessions.state(this.sessionId);
    return state.phase === 'open' ? state.cursor : -1;
  }

  /** Whether a surface is there, as folded. */
  async presence(): Promise<string> {
    const state = await this.backend.sessions.state(this.sessionId);
    return state.phase === 'open' ? state.surface.type : state.phase;
  }

  /** What the log says of the session's surfaces. */
  async surfaceEvents(): Promise<readonly LogEvent[]> {
    return (await this.backend.events(this.sessionId)).filter((event) =>
      event.type.startsWith('surface.'),
    );
  }

  async detachReasons(): Promise<readonly string[]> {
    const events = await this.surfaceEvents();
    return events.flatMap((event) =>
      event.type === 'surface.detached' ? [event.data.reason] : [],
    );
  }

  private async state(command: PlainCommand): Promise<void> {
    const { sessionId, backend } = this;
    const state = await backend.sessions.state(sessionId);
    const executed = await backend.sessionLog.insist({ sessionId, state, by: SYSTEM, command });
    if (executed.type !== 'appended') throw new Error(executed.type);
    await backend.freshness.untilFolded(executed.position);
  }
}
