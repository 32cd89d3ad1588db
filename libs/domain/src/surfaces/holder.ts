import type { ProcessAddress } from '#libs/protocol';
import type { OpenSession } from '../session-state.js';

/** The gateway of the attached surface, if there is one. */
export function holderOf({ surface }: OpenSession): readonly ProcessAddress[] {
  return surface.type === 'attached' ? [surface.attachment.gateway] : [];
}

export function isCurrent({ surface }: OpenSession, attachId: string | null): boolean {
  return surface.type === 'attached' && surface.attachment.attachId === attachId;
}
