import type { LogEvent, ProcessAddress } from '#libs/protocol';
import type { Change, Decision, OpenSession, PlainCommand, SessionState } from '../../src/index.js';
import { decide, evolve, initialState } from '../../src/index.js';
import { ACTOR, SESSION, id, instant } from './events.js';

export interface Folded {
  readonly state: SessionState;
  readonly changes: readonly Change[];
  readonly poke: readonly ProcessAddress[];
}

/** Folds a session's events. */
export function fold(events: Iterable<LogEvent>, from: SessionState = initialState): Folded {
  let state = from;
  const changes: Change[] = [];
  const poke: ProcessAddress[] = [];
  for (const event of events) {
    const evolution = evolve(state, event);
    state = evolution.state;
    changes.push(...evolution.changes);
    poke.push(...evolution.poke);
  }
  return { state, changes, poke };
}

export interface Given {
  /** What these events are folded to. */
  readonly state: SessionState;
  /** As `state`, of a session that was opened. */
  readonly session: OpenSession;
  /** What the log's next events make of it. */
  whenLogged(...events: readonly LogEvent[]): Folded & { readonly session: OpenSession };
  /** What a command, given `at`, becomes. New ids are `id(1)`, `id(2)`, … */
  when(command: PlainCommand, at?: string): Decision;
}

/** The beginning of a test of the domain: what stands in the session's log. */
export function given(...events: readonly LogEvent[]): Given {
  const { state } = fold(events);
  return {
    state,
    get session() {
      return open(state);
    },
    whenLogged: (...more) => {
      const folded = fold(more, state);
      return {
        ...folded,
        get session() {
          return open(folded.state);
        },
      };
    },
    when: (command, at = instant(0)) => {
      let ids = 0;
      const issued = { ...command, sessionId: SESSION, at, by: ACTOR, newId: () => id(++ids) };
      return decide(issued, state);
    },
  };
}

function open(state: SessionState): OpenSession {
  if (state.phase !== 'open') throw new Error('the session was not opened');
  return state;
}
