import type { ServiceName } from '#libs/protocol';

/** One process that serves a kind. */
export interface Replica {
  readonly kind: ServiceName;
  /** `http://127.0.0.1:port`; may be read before the replica serves for the first time. */
  readonly url: string;
  /** Whether it is known to serve now. */
  readonly isReady: boolean;
  /** Another one after each start. */
  readonly pid: number;
}

/** Hands out replicas of a kind in turn. */
export class Replicas {
  private readonly turns = new Map<ServiceName, number>();
  /** Processes that said that they are shutting down; at most one for each replica. */
  private readonly draining = new Map<Replica, number>();

  /** @param all is read at each call: it may still grow. */
  constructor(readonly all: readonly Replica[]) {}

  /**
   * Those that serve when they are come to, each once, beginning with the one whose turn it is: the
   * one before may have been asked for long.
   */
  *inTurn(kind: ServiceName): Generator<Replica> {
    const serving = this.serving(kind);
    const turn = this.turns.get(kind) ?? 0;
    this.turns.set(kind, turn + 1);
    const first = serving.length === 0 ? 0 : turn % serving.length;
    for (const replica of [...serving.slice(first), ...serving.slice(0, first)])
      if (this.serves(replica)) yield replica;
  }

  serving(kind: ServiceName): Replica[] {
    return this.all.filter((replica) => replica.kind === kind && this.serves(replica));
  }

  /** The process `pid` of this replica takes no more requests; the next one will. */
  isDraining(replica: Replica, pid: number): void {
    this.draining.set(replica, pid);
  }

  private serves(replica: Replica): boolean {
    return replica.isReady && this.draining.get(replica) !== replica.pid;
  }
}
