import type { FoldedEventOf } from '#libs/protocol';
import type { Evolution } from '../changes.js';
import type { OpenSession, SessionState } from '../session-state.js';

export function opened(
  state: SessionState,
  event: FoldedEventOf<'session.opened'>,
): Evolution<SessionState> {
  const { principal, agent_id: agentId } = event.data;
  const session: OpenSession = {
    phase: 'open',
    // The turn that comes with the opening has the same epoch and must still be above the
    // session's.
    epoch: state.epoch,
    openedEpoch: event.epoch,
    principal,
    agentId,
    createdAt: event.occurred_at,
    updatedAt: event.occurred_at,
    turn: null,
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
    checkpoint: null,
    head: 0,
    cursor: 0,
    surface: { type: 'never' },
    attachIds: [],
    takeovers: [],
    unowed: [],
  };
  return {
    state: session,
    changes: [{ type: 'session-opened', principal, agentId, openedEpoch: event.epoch }],
    poke: [],
  };
}
