import type { FoldedEventOf, ProcessAddress } from '#libs/protocol';
import type { Evolution } from '../changes.js';
import type { OpenSession } from '../session-state.js';
import { TAKEOVER_LIMIT, remember } from '../session-state.js';
import { acknowledge } from './tether.js';

export function attached(
  session: OpenSession,
  event: FoldedEventOf<'surface.attached'>,
): Evolution<OpenSession> | null {
  const { attach_id: attachId, gateway, context } = event.data;
  if (session.attachIds.includes(attachId)) return null;
  const takesOver = session.surface.type === 'attached';
  return {
    state: {
      ...session,
      surface: {
        type: 'attached',
        attachment: { attachId, gateway, context: context ?? {}, attachedAt: event.occurred_at },
      },
      attachIds: remember(session.attachIds, attachId),
      takeovers: takesOver
        ? remember(session.takeovers, event.occurred_at, TAKEOVER_LIMIT)
        : session.takeovers,
    },
    changes: [],
    poke: [...holderOf(session), gateway],
  };
}

export function detached(session: OpenSession, attachId: string): Evolution<OpenSession> | null {
  if (!isCurrent(session, attachId)) return null;
  return {
    state: { ...session, surface: { type: 'detached' } },
    changes: [],
    poke: holderOf(session),
  };
}

export function acknowledged(
  session: OpenSession,
  { attach_id: attachId, seq }: FoldedEventOf<'surface.acknowledged'>['data'],
): Evolution<OpenSession> | null {
  if (!isCurrent(session, attachId)) return null;
  return { state: acknowledge(session, seq), changes: [], poke: [] };
}

/** The gateway of the attached surface, if there is one. */
export function holderOf({ surface }: OpenSession): readonly ProcessAddress[] {
  return surface.type === 'attached' ? [surface.attachment.gateway] : [];
}

function isCurrent({ surface }: OpenSession, attachId: string): boolean {
  return surface.type === 'attached' && surface.attachment.attachId === attachId;
}
