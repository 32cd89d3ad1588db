import type { OpenSession } from '../session-state.js';
import type { LifeChange } from './decide-session.js';

/** What a read shows of a session's life, in the order of the contract's transitions. */
export type ShownStatus = 'idle' | 'running' | 'suspended' | 'completed' | 'failed';

/** Why a session is shown as suspended. */
export type SuspensionReason = 'surface_gone' | 'requested' | 'handoff';

export interface ShownLife {
  readonly status: ShownStatus;
  readonly reason: SuspensionReason | null;
}

/**
 * How a session is shown. A running one that had a surface, has none, and has no turn open, is
 * shown as suspended, because its surface is gone: that is computed, and blocks nothing.
 */
export function shownLife({ life, begun, surface, turn }: OpenSession): ShownLife {
  switch (life.type) {
    case 'suspended':
      return { status: 'suspended', reason: life.reason };
    case 'completed':
    case 'failed':
      return { status: life.type, reason: null };
    case 'active': {
      if (turn !== null) return { status: 'running', reason: null };
      if (surface.type === 'detached') return { status: 'suspended', reason: 'surface_gone' };
      return { status: begun ? 'running' : 'idle', reason: null };
    }
  }
}

/** When somebody suspended it by its status, in ms since 1970; null where nobody did. */
export function suspendedAt({ life }: OpenSession): number | null {
  return life.type === 'suspended' && life.reason === 'requested' ? Date.parse(life.since) : null;
}

/** Whether nothing will run in the session any more. */
export function isFinished({ life }: OpenSession): boolean {
  return life.type === 'completed' || life.type === 'failed';
}

/**
 * What a session has to do to become what is asked of it: nothing, because it is that already; a
 * change; or it never can, because it has finished.
 */
export function stepTo(session: OpenSession, to: LifeChange): 'none' | 'change' | 'impossible' {
  const { life, begun } = session;
  if (life.type === to) return 'none';
  if (isFinished(session)) return 'impossible';
  return to === 'running' && life.type === 'active' && begun ? 'none' : 'change';
}
