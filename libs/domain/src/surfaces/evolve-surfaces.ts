import type { FoldedEventOf } from '#libs/protocol';
import type { Change, Evolution } from '../changes.js';
import type { OpenSession } from '../session-state.js';
import { TAKEOVER_LIMIT, remember } from '../session-state.js';
import { isFinished } from '../session/life.js';
import { lostSurface, seatWaiting } from '../tools/evolve-tools.js';
import { holderOf, isCurrent } from './holder.js';
import { acknowledge, queuedTurns } from './tether.js';

export function attached(
  session: OpenSession,
  event: FoldedEventOf<'surface.attached'>,
): Evolution<OpenSession> | null {
  const { attach_id: attachId, gateway, context } = event.data;
  if (session.attachIds.includes(attachId)) return null;
  const { surface } = session;
  const takesOver = surface.type === 'attached';
  const lost = takesOver ? lostSurface(session, surface.attachment.attachId, event) : null;
  const declared: Change = { type: 'surface-attached', attachId };
  const here: OpenSession = {
    ...(lost?.state ?? session),
    surface: {
      type: 'attached',
      attachment: { attachId, gateway, context: context ?? {}, attachedAt: event.occurred_at },
    },
    attachIds: remember(session.attachIds, attachId),
    clientCalls: [],
    takeovers: takesOver
      ? remember(session.takeovers, event.occurred_at, TAKEOVER_LIMIT)
      : session.takeovers,
  };
  const seated = seatWaiting(here, event);
  return {
    state: seated.state,
    changes: [...(lost?.changes ?? []), declared, ...seated.changes],
    poke: [...(lost?.poke ?? []), ...holderOf(session), gateway, ...seated.poke],
  };
}

export function detached(
  session: OpenSession,
  event: FoldedEventOf<'surface.detached'>,
): Evolution<OpenSession> | null {
  const { attach_id: attachId } = event.data;
  if (!isCurrent(session, attachId)) return null;
  const lost = lostSurface(session, attachId, event);
  return {
    state: { ...lost.state, surface: { type: 'detached' } },
    changes: lost.changes,
    poke: [...lost.poke, ...holderOf(session)],
  };
}

export function acknowledged(
  session: OpenSession,
  { attach_id: attachId, seq }: FoldedEventOf<'surface.acknowledged'>['data'],
): Evolution<OpenSession> | null {
  if (!isCurrent(session, attachId)) return null;
  const state = acknowledge(session, seq);
  // A surface of a finished session goes when it has read everything.
  const isLast = isFinished(session) && queuedTurns(state) === 0 && state !== session;
  return { state, changes: [], poke: isLast ? holderOf(session) : [] };
}
