import type { Message } from '#libs/protocol';
import type { StoredTranscript, TurnOutcome } from '../../src/index.js';
import { messageBytes } from '../../src/index.js';

/** A turn: what it brought, and its answer. */
type Turn = readonly Message[] & {
  readonly outcome?: TurnOutcome;
  readonly alternatives?: readonly Message[];
};
/** A turn of which the model offered other answers than its last message. */
export const chosen = (turn: readonly Message[], ...alternatives: readonly Message[]): Turn =>
  Object.assign([...turn], { alternatives });
/** A turn that failed. */
export const failed = (...messages: readonly Message[]): Turn =>
  Object.assign([...messages], { outcome: 'unanswered' as const });
/** A turn whose messages the model itself refused. */
export const refused = (...messages: readonly Message[]): Turn =>
  Object.assign([...messages], { outcome: 'refused' as const });

/** A stored conversation, which says what was read of it. */
export interface Stored extends StoredTranscript {
  readonly messages: readonly Message[];
  /** How many messages were read. */
  reads(): number;
}

/** The conversation that turns make. */
export function stored(...turns: readonly Turn[]): Stored {
  const messages = turns.flat();
  const read = new Set<number>();
  let next = 0;
  return {
    system: [],
    messages,
    reads: () => [...read].reduce((sum, turn) => sum + (turns[turn]?.length ?? 0), 0),
    count: messages.length,
    bytesOf: (keeps) => messageBytes(messages.slice(0, keeps)),
    turns: turns.map((turn, at) => {
      const firstIndex = next;
      next += turn.length;
      return {
        outcome: turn.outcome ?? 'answered',
        alternatives: () => turn.alternatives ?? [],
        size: turn.length,
        placeOf: (message) => firstIndex + message,
        messages: () => {
          read.add(at);
          return turn;
        },
      };
    }),
  };
}
