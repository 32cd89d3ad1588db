import type { AttachmentId } from './surface-events.js';
import type { SurfaceConnection } from './surface-connection.js';
import type { SurfaceSync } from '../sync/sync.js';

/**
 * The sockets of this gateway, and what is attached on them. Bounded by the adapter's bound on
 * sockets, and each session by its own.
 */
export class SurfaceRegistry {
  private readonly openConnections = new Set<SurfaceConnection>();
  /** Of each session, oldest first. */
  private readonly connectionsOf = new Map<string, Set<SurfaceConnection>>();
  private readonly byAttachment = new Map<string, SurfaceSync>();
  /** More than one of a session only while one takes over from another. */
  private readonly bySession = new Map<string, Set<SurfaceSync>>();

  /** @param maxOfSession the most sockets of one session, those that only wait among them */
  constructor(private readonly maxOfSession: number) {}

  /**
   * Where the session has too many sockets, the oldest that has sent nothing is turned away: nobody
   * can keep a session's surfaces out by sockets that only wait.
   */
  open(connection: SurfaceConnection): void {
    const { sessionId } = connection;
    this.openConnections.add(connection);
    const others = this.connectionsOf.get(sessionId) ?? new Set();
    this.connectionsOf.set(sessionId, new Set([...others, connection]));
    if (others.size < this.maxOfSession) return;
    const idle = [...others].find(({ waitsToAttach }) => waitsToAttach);
    (idle ?? connection).turnAway();
  }

  close(connection: SurfaceConnection): void {
    const { sessionId } = connection;
    this.openConnections.delete(connection);
    const others = this.connectionsOf.get(sessionId);
    others?.delete(connection);
    if (others?.size === 0) this.connectionsOf.delete(sessionId);
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
