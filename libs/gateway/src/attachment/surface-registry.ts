import type { AttachmentId } from './surface-facts.js';
import type { SurfaceConnection } from './surface-connection.js';
import type { SurfaceSync } from '../sync/sync.js';
import { Injectable } from '@nestjs/common';

/** The sockets of this gateway, and what is attached on them. Bounded by the adapter's bound on sockets. */
@Injectable()
export class SurfaceRegistry {
  readonly #connections = new Set<SurfaceConnection>();
  readonly #attached = new Map<string, SurfaceSync>();
  /** More than one of a session only while one takes over from another. */
  readonly #bySession = new Map<string, Set<SurfaceSync>>();

  open(connection: SurfaceConnection): void {
    this.#connections.add(connection);
  }

  close(connection: SurfaceConnection): void {
    this.#connections.delete(connection);
  }

  attach(sync: SurfaceSync): void {
    const { attachId, sessionId } = sync.surface;
    this.#attached.set(attachId, sync);
    this.#bySession.set(sessionId, (this.#bySession.get(sessionId) ?? new Set()).add(sync));
  }

  detach(sync: SurfaceSync): void {
    const { attachId, sessionId } = sync.surface;
    this.#attached.delete(attachId);
    const others = this.#bySession.get(sessionId);
    others?.delete(sync);
    if (others?.size === 0) this.#bySession.delete(sessionId);
  }

  connections(): readonly SurfaceConnection[] {
    return [...this.#connections];
  }

  attached(): readonly SurfaceSync[] {
    return [...this.#attached.values()];
  }

  ofSession(sessionId: string): Iterable<SurfaceSync> {
    return this.#bySession.get(sessionId) ?? [];
  }

  ofAttachment({ attachId }: Pick<AttachmentId, 'attachId'>): SurfaceSync | null {
    return this.#attached.get(attachId) ?? null;
  }
}
