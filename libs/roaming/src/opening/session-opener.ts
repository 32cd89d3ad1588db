import type { OpenSession, PlainCommand } from '#libs/domain';
import { LONGEST_CHAIN, initialState } from '#libs/domain';
import type {
  Actor,
  BundleMessage,
  JsonObject,
  Memory,
  RestoredParts,
  SessionBase,
  SessionOrigin,
} from '#libs/protocol';
import { SbpError } from '#libs/protocol';
import type { LogPosition } from '#libs/event-log';
import type { Executed } from '#libs/session-log';
import { SessionLog } from '#libs/session-log';
import { Freshness, SessionReads, Transcripts } from '#libs/store';
import { within } from '#libs/timing';
import { Injectable } from '@nestjs/common';
import { bundledMessages } from '../bundle/bundles.js';
import type { CopiedConversation } from './copied-parts.js';
import { copiedParts } from './copied-parts.js';

/** How long the log may take for one event of an opening, in ms; the append goes on. */
const RECORD_MS = 15_000;

/** Whose log is written to, and for whom. */
type Place = Pick<Derivation, 'sessionId' | 'by'>;

/** A session that is to be made from another one. */
export interface Derivation {
  readonly sessionId: string;
  readonly epoch: number;
  readonly principal: string;
  readonly agentId: string;
  readonly origin: SessionOrigin;
  /** What its conversation begins with. */
  readonly beginning:
    | { readonly type: 'base'; readonly base: SessionBase }
    | { readonly type: 'copy'; readonly conversation: CopiedConversation }
    /** It was copied before. */
    | { readonly type: 'copied'; readonly restored: RestoredParts };
  readonly label: string | null;
  /** Tells the model, and whoever reads, where it comes from; null for nothing. */
  readonly note: string | null;
  readonly memory: Memory | null;
  readonly stateSnapshot: JsonObject | null;
  /** When the conversation began elsewhere; null where its base says that. */
  readonly beganAt: string | null;
  readonly by: Actor;
}

/**
 * Opens sessions that are made from others: a reference to the place in the other one where that is
 * possible, else a copy, which is in the log before the opening [A16]. All of it may be done again,
 * by another process too: what is in the log already counts once. So nobody waits for a log that
 * does not answer: whoever asks again goes on with the same session.
 */
@Injectable()
export class SessionOpener {
  /** By the session, the append that the log has not acknowledged yet. */
  private readonly appending = new Map<string, Promise<Executed>>();

  constructor(
    private readonly sessionLog: SessionLog,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly transcripts: Transcripts,
  ) {}

  /**
   * The session once it is folded.
   * @throws SbpError SBP_PAYLOAD_TOO_LARGE where the log will not take a part of it;
   *   SBP_UPSTREAM_UNAVAILABLE where the log or the fold does not answer: it may be made yet;
   *   LogOverloaded
   */
  async open(derivation: Derivation): Promise<OpenSession> {
    const { sessionId, epoch, principal, agentId, origin, note, label } = derivation;
    const known = await this.reads.state(sessionId);
    if (known.phase === 'open') return known;
    const beginning = await this.beginning(derivation);
    const { memory, stateSnapshot: state_snapshot, beganAt } = derivation;
    await this.append(derivation, {
      type: 'OpenDerived',
      epoch,
      opened: { principal, agent_id: agentId, origin, ...beginning },
      content: {
        ...(label === null ? {} : { label }),
        ...(note === null ? {} : { note }),
        ...(memory === null ? {} : { memory }),
        ...(state_snapshot === null ? {} : { state_snapshot }),
        ...(beganAt === null ? {} : { began_at: beganAt }),
      },
    });
    return this.reads.open(sessionId);
  }

  /** States something of a session that is being made, and waits for the fold. @throws as `open` */
  async append(place: Place, command: PlainCommand): Promise<void> {
    const position = await this.state(place, command);
    if (!(await this.freshness.reached(position))) throw notMadeYet();
  }

  private async beginning(
    derivation: Derivation,
  ): Promise<{ readonly base: SessionBase } | { readonly restored: RestoredParts }> {
    const { beginning } = derivation;
    if (beginning.type === 'copied') return { restored: beginning.restored };
    if (beginning.type === 'copy') {
      return { restored: await this.copy(derivation, beginning.conversation) };
    }
    const { base } = beginning;
    if (base.depth <= LONGEST_CHAIN) return { base };
    const conversation = {
      messages: this.messagesOf(base),
      steps: base.step_count,
      costUsd: base.cost_usd,
    };
    return { restored: await this.copy(derivation, conversation) };
  }

  /** Copies a conversation for a session that is opened later. @throws as `open` */
  async copy(
    derivation: Pick<Derivation, 'sessionId' | 'epoch' | 'by'>,
    conversation: CopiedConversation,
  ): Promise<RestoredParts> {
    const { epoch } = derivation;
    const parts = copiedParts(conversation);
    for (;;) {
      const next = await parts.next();
      if (next.done === true) return next.value;
      await this.state(derivation, { type: 'RestorePart', epoch, part: next.value });
    }
  }

  /** The conversation of a place, without what only tells where it comes from. */
  private async *messagesOf(base: SessionBase): AsyncGenerator<BundleMessage> {
    const { session_id: sessionId, turn_number: turn, message_count: count } = base;
    const { system } = await this.transcripts.conversationAsOf(sessionId, turn);
    const pieces = await this.transcripts.piecesUpTo(sessionId, turn, count);
    const entries = this.transcripts.entries(pieces);
    yield* bundledMessages(system, new Date(0).toISOString(), entries);
  }

  private async state({ sessionId, by }: Place, command: PlainCommand): Promise<LogPosition> {
    // Those of earlier tries must not pile up while the log is away.
    const earlier = this.appending.get(sessionId);
    if (earlier !== undefined) await inTime(earlier.catch(() => undefined));
    const execution = { sessionId, state: initialState, by, command };
    const appending = this.sessionLog.execute(execution).finally(() => {
      if (this.appending.get(sessionId) === appending) this.appending.delete(sessionId);
    });
    this.appending.set(sessionId, appending);
    const executed = await inTime(appending);
    if (executed.type === 'appended') return executed.position;
    const problem = executed.type === 'rejected' ? executed.detail : executed.reason;
    throw new SbpError('SBP_PAYLOAD_TOO_LARGE', `The session cannot be opened: ${problem}`);
  }
}

async function inTime<T>(appending: Promise<T>): Promise<T> {
  const done = await within(appending, RECORD_MS);
  if (done === 'late') throw notMadeYet();
  return done;
}

function notMadeYet(): SbpError {
  return new SbpError(
    'SBP_UPSTREAM_UNAVAILABLE',
    'The log does not answer, so the session is not there yet. It may still be made: ask again ' +
      'with the same Idempotency-Key.',
    { retryAfter: 5 },
  );
}
