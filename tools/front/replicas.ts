import type { ServiceKind } from './routes.js';

/** One process that serves a kind. */
export interface Replica {
  readonly kind: ServiceKind;
  /** `http://127.0.0.1:port`; may be read before the replica serves for the first time. */
  readonly url: string;
  /** Whether it is known to serve now. */
  readonly isReady: boolean;
}

/** Hands out replicas of a kind in turn. */
export class Replicas {
  private readonly turns = new Map<ServiceKind, number>();

  /** @param all is read at each call: it may still grow. */
  constructor(readonly all: readonly Replica[]) {}

  /** Those that serve now, each once, beginning with the one whose turn it is. */
  inTurn(kind: ServiceKind): Replica[] {
    const ready = this.all.filter((replica) => replica.kind === kind && replica.isReady);
    const turn = this.turns.get(kind) ?? 0;
    this.turns.set(kind, turn + 1);
    const first = ready.length === 0 ? 0 : turn % ready.length;
    return [...ready.slice(first), ...ready.slice(0, first)];
  }
}
