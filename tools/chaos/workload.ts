import { close } from './closing.js';
import { Conversation } from './conversation.js';
import type { WaitingCall, Wishes } from './conversation.js';
import type { ConversationHistory } from './history.js';
import type { Random } from './random.js';
import { durableAcknowledgements, readAllLedgers } from './work-ledger.js';
import type { Topology } from './topology.js';

/**
 * Part of the conversations that have a surface from the start; the others get one when all is
 * over.
 */
const SURFACE_SHARE = 0.65;
/** How many turns are made long when one is wanted: it may not run where it is looked for. */
const LONG_AT_ONCE = 3;
/** Conversations brought to rest at a time. */
const CLOSED_AT_ONCE = 6;

/**
 * Many conversations, some at a time, until it is told to stop; then all of them are brought to
 * rest.
 */
export class Workload {
  readonly conversations: Conversation[] = [];
  private readonly stop = new AbortController();
  private readonly wishes: Wishes = { long: 0 };
  private readonly lanes: readonly Promise<void>[];

  constructor(
    private readonly topology: Pick<Topology, 'url' | 'ledgers'>,
    random: Random,
    /** Conversations at a time. */
    lanes: number,
  ) {
    this.lanes = Array.from({ length: lanes }, (_, lane) =>
      this.run(lane, random.fork(`lane ${lane}`)),
    );
  }

  /** Calls made so far. */
  get calls(): number {
    return this.conversations.reduce((sum, { calls }) => sum + calls.length, 0);
  }

  /** The one call that is waited for in a session; null where that is unknown. */
  waitingCall(sessionId: string): WaitingCall | null {
    return this.conversations.find(({ session }) => session?.id === sessionId)?.waitingCall ?? null;
  }

  askForLong(): void {
    this.wishes.long = LONG_AT_ONCE;
  }

  /** Begins nothing new, waits for what is under way, and finds what is there in the end. */
  async finish(): Promise<readonly ConversationHistory[]> {
    this.stop.abort();
    await Promise.all(this.lanes);
    const histories: ConversationHistory[] = [];
    const waiting = [...this.conversations];
    const closeNext = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const found = await close(next, this.topology.url);
        histories.push(next.history({ acknowledged: [], found }));
      }
    };
    await Promise.all(Array.from({ length: CLOSED_AT_ONCE }, closeNext));
    const notes = readAllLedgers(this.topology.ledgers);
    return histories.map((history) => ({
      ...history,
      acknowledged: durableAcknowledgements(notes, history.sessionId),
    }));
  }

  private async run(lane: number, random: Random): Promise<void> {
    for (let number = 1; !this.stop.signal.aborted; number++) {
      const name = `agent-${lane}-${number}`;
      const conversation = new Conversation(
        name,
        this.topology.url,
        random.fork(name),
        random.chance(SURFACE_SHARE),
        this.wishes,
      );
      this.conversations.push(conversation);
      await conversation.run(this.stop.signal);
    }
  }
}
