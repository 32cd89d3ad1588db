import type { AttachmentId } from './surface-events.js';
import type { SurfaceConnection } from './surface-connection.js';
import type { SurfaceSync } from '../sync/sync.js';
import { Injectable } from '@nestjs/common';

/**
 * The sockets of this gateway, and what is attached on them. Bounded by the adapter's bound on
 * sockets.
 */
@Injectable()
export class SurfaceRegistry {
  private readonly openConnections = new Set<SurfaceConnection>();
  private readonly byAttachment = new Map<string, SurfaceSync>();
  /** More than one of a session only while one takes over from another. */
  private readonly bySession = new Map<string, Set<SurfaceSync>>();

  open(connection: SurfaceConnection): void {
    this.openConnections.add(connection);
  }

  close(connection: SurfaceConnection): void {
    this.openConnections.delete(connection);
  }

  attach(sync: SurfaceSync): void {
    const { attachId, sessionId } = sync.surface;
    this.byAttachment.set(attachId, sync);
    this.bySession.set(sessionId, (this.bySession.get(sessionId) ?? new Set()).add(sync));
  }

  detach(sync: SurfaceSync): void {
    const { attachId, sessionId } = sync.surface;
    this.byAttachment.delete(attachId);
    const others = this.bySession.get(sessionId);
    others?.delete(sync);
    if (others?.size === 0) this.bySession.delete(sessionId);
  }

  connections(): readonly SurfaceConnection[] {
    return [...this.openConnections];
  }

  attached(): readonly SurfaceSync[] {
    return [...this.byAttachment.values()];
  }

  ofSession(sessionId: string): Iterable<SurfaceSync> {
    return this.bySession.get(sessionId) ?? [];
  }

  ofAttachment({ attachId }: Pick<AttachmentId, 'attachId'>): SurfaceSync | null {
    return this.byAttachment.get(attachId) ?? null;
  }
}
