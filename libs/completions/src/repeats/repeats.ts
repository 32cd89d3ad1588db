import { SbpError } from '#libs/protocol';
import { SYSTEM } from '#libs/session-log';
import type { FirstCaller, HeldKey, TurnKey } from '#libs/store';
import {
  Freshness,
  ProcessIdentity,
  SessionReads,
  TurnKeys,
  bodyName,
  idempotencyName,
} from '#libs/store';
import { PeriodicTask, pause } from '#libs/timing';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { OrphanScan } from '../adoption/orphan-scan.js';
import { CompletionsOptions } from '../completions-options.js';
import type { TrackedRequest } from '../http/tracked-request.js';
import { TurnBurner } from './turn-burner.js';

/** How often a turn is looked for that is about to begin elsewhere, in ms. */
const LOOK_MS = 50;
/**
 * How long a client's own repeat waits to learn what became of who asked first, in ms: longer than
 * it takes to know of a death.
 */
const VANISHED_MS = 12_000;
/** How long after that a client's own repeat is known, in ms. */
const REPEATED_MS = 10 * 60_000;
/** How often keys are removed that are not known any more, in ms. */
const PRUNE_MS = 10 * 60_000;

/** The turn that a repeated request belongs to. */
export interface JoinedTurn {
  readonly sessionId: string;
  readonly turnId: string;
}

/**
 * Knows repeated requests again [A15]: by the key that the client chose, or by their bodies, where
 * a client repeats by itself and whoever asked first vanished without an answer. A key is never run
 * twice: it is taken before its turn is in the log, and where its holder is silent and its turn
 * unknown, that turn is first seen to never begin.
 */
@Injectable()
export class Repeats implements OnModuleInit, OnModuleDestroy {
  private readonly pruning: PeriodicTask;

  constructor(
    private readonly keys: TurnKeys,
    private readonly reads: SessionReads,
    private readonly freshness: Freshness,
    private readonly identity: ProcessIdentity,
    private readonly scan: OrphanScan,
    private readonly burner: TurnBurner,
    private readonly options: CompletionsOptions,
  ) {
    this.pruning = new PeriodicTask({
      everyMs: PRUNE_MS,
      work: () => keys.prune(),
      onFault: (error) => options.onProblem('old keys of turns were not removed', error),
    });
  }

  onModuleInit(): void {
    this.pruning.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.pruning.stop();
  }

  /**
   * The turn that the request belongs to; null if it is to run one of its own, which has its key
   * then. `isWanted`: false once its caller is gone.
   * @throws SbpError SBP_INVALID_REQUEST, with 422, where the key was used with another body
   */
  async enter(request: TrackedRequest, isWanted: () => boolean): Promise<JoinedTurn | null> {
    const key = keyOf(request);
    if (key === null) return null;
    if (request.repeat.type === 'key') return this.enterByKey(request, key, isWanted);
    const isRepeat = request.repeat.type === 'count' && request.repeat.count > 0;
    return isRepeat ? this.enterByBody(request, key, isWanted) : null;
  }

  /**
   * Before the turn is in the log: says in which session it is to begin. False if another request
   * has taken its key meanwhile, because this process seemed dead.
   */
  async bind(request: TrackedRequest, sessionId: string): Promise<boolean> {
    const key = keyOf(request);
    if (key === null) return true;
    if (request.repeat.type === 'key') return this.keys.bind(key, request.turnId, sessionId);
    await this.keys.record(key, this.turnOf(request), sessionId);
    return true;
  }

  /** The turn has not begun, and will not. */
  async giveBack(request: TrackedRequest): Promise<void> {
    const key = keyOf(request);
    if (key !== null) await this.keys.giveBack(key, request.turnId);
  }

  /** The turn was cancelled; where that was before it had begun, nobody knows it by its id. */
  async giveBackIfUnknown(request: TrackedRequest): Promise<void> {
    const key = keyOf(request);
    const held = key === null ? null : await this.keys.find(key, REPEATED_MS);
    if (key === null || held?.turnId !== request.turnId || held.sessionId === null) return;
    await this.freshness.latest(held.sessionId);
    const turn = await this.reads.attempt(held.sessionId, held.turnId);
    if (turn === null) await this.keys.giveBack(key, held.turnId);
  }

  /** What has become of the caller, for his client's own repeats. */
  tell(request: TrackedRequest, caller: FirstCaller): void {
    const key = keyOf(request);
    if (key === null || request.repeat.type === 'key') return;
    this.keys.tell(key, request.turnId, caller).catch((error: unknown) => {
      this.options.onProblem('it was not noted what became of a caller', error);
    });
  }

  private async enterByKey(
    request: TrackedRequest,
    key: TurnKey,
    isWanted: () => boolean,
  ): Promise<JoinedTurn | null> {
    while (isWanted()) {
      const held = await this.keys.take(key, this.turnOf(request));
      if (held === null) return null;
      if (held.bodyHash !== request.asked.bodyHash) throw otherBody();
      const found = await this.follow(request, key, held);
      if (found === 'ours') return null;
      if (found !== 'again') return found;
      await pause(LOOK_MS);
    }
    return null;
  }

  /** A client's own repeat: it belongs to the turn of whoever asked the same first and vanished. */
  private async enterByBody(
    request: TrackedRequest,
    key: TurnKey,
    isWanted: () => boolean,
  ): Promise<JoinedTurn | null> {
    let first = await this.vanished(key, isWanted);
    while (first !== null && isWanted()) {
      const found = await this.follow(request, key, first);
      if (found === 'ours') return null;
      if (found !== 'again') return found;
      await pause(LOOK_MS);
      first = await this.keys.find(key, REPEATED_MS);
    }
    return null;
  }

  /** What has become of a held turn; `ours`: it cannot begin any more, and its key is ours now. */
  private async follow(
    request: TrackedRequest,
    key: TurnKey,
    held: HeldKey,
  ): Promise<JoinedTurn | 'ours' | 'again'> {
    const { sessionId, turnId, holder } = held;
    if (sessionId !== null) {
      const turn = await this.reads.attempt(sessionId, turnId);
      if (turn !== null && !(turn.status === 'failed' && turn.isUnreached)) {
        return { sessionId, turnId };
      }
      if (turn === null) {
        if (!this.scan.judgesDead(holder)) return 'again';
        // It was found to have begun after all.
        if (!(await this.burner.burn(sessionId, turnId, SYSTEM))) return 'again';
      }
    } else if (!this.scan.judgesDead(holder)) return 'again';
    return (await this.keys.retake(key, held, this.turnOf(request))) ? 'ours' : 'again';
  }

  /** Whoever asked the same first, if he has vanished without an answer. */
  private async vanished(key: TurnKey, isWanted: () => boolean): Promise<HeldKey | null> {
    const deadline = performance.now() + VANISHED_MS;
    while (isWanted() && performance.now() < deadline) {
      const held = await this.keys.find(key, REPEATED_MS);
      if (held === null || held.caller === 'answered') return null;
      if (held.caller === 'gone' || this.scan.judgesDead(held.holder)) return held;
      await pause(2 * LOOK_MS);
    }
    return null;
  }

  private turnOf({ turnId, asked }: TrackedRequest) {
    const { incarnation: holder } = this.identity.address;
    return { turnId, bodyHash: asked.bodyHash ?? '', holder };
  }
}

/** Null where the request cannot be known again. */
function keyOf({ repeat, credential, agentId, asked }: TrackedRequest): TurnKey | null {
  const { principal, tokenSession } = credential;
  switch (repeat.type) {
    case 'unknown':
      return null;
    case 'key':
      return { principal, agentId, name: idempotencyName(repeat.key) };
    case 'count':
      return {
        principal,
        agentId,
        name: bodyName(`${asked.bodyHash ?? ''}:${tokenSession ?? ''}`),
      };
  }
}

function otherBody(): SbpError {
  return new SbpError(
    'SBP_INVALID_REQUEST',
    'Idempotency-Key: was used for a request with another body. Choose a new key.',
    { param: 'Idempotency-Key', status: 422 },
  );
}
