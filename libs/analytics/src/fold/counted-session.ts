import type { OpenSession, SessionState } from '#libs/domain';
import { initialState } from '#libs/domain';

/** What a turn's counts are told apart by, besides its session's principal and agent. */
export interface TurnKeys {
  readonly model: string;
  readonly device: string;
}

/** A turn that is not over, or that can still become owed. */
export interface CountedTurn extends TurnKeys {
  /** What its rounds have used so far; its end says the sum only where it completed. */
  readonly spent: Spent;
}

export interface Spent {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly nanoUsd: number;
}

export const NOTHING_SPENT: Spent = { promptTokens: 0, completionTokens: 0, nanoUsd: 0 };

/** What must be known of a session to count its next event; bounded, as its state is [A11]. */
export interface CountedSession {
  readonly state: SessionState;
  /** By turn. */
  readonly turns: Readonly<Record<string, CountedTurn>>;
}

export const NEW_SESSION: CountedSession = { state: initialState, turns: {} };

/** Only turns that a later event can count: the open one, those that wait, the last unowed. */
export function prune(
  state: SessionState,
  turns: Readonly<Record<string, CountedTurn>>,
): Readonly<Record<string, CountedTurn>> {
  if (state.phase !== 'open') return {};
  const ids = [state.turn, ...state.waiting, ...state.unowed].flatMap((turn) => turn?.turnId ?? []);
  return Object.fromEntries(
    ids.flatMap((id) => {
      const turn = turns[id];
      return turn === undefined ? [] : [[id, turn] as const];
    }),
  );
}

/** The type of the attached device; empty where none is. */
export function deviceOf({ surface }: OpenSession): string {
  if (surface.type !== 'attached') return '';
  return column(surface.attachment.context.device_type ?? 'unknown', 64);
}

/** As a column takes it: Postgres takes no NUL, and no key a long text. */
export function column(text: string, length: number): string {
  return Array.from(text.replaceAll('\0', '\ufffd')).slice(0, length).join('');
}
