import { mustGiveUp } from '#libs/domain';
import { LiveTurns } from '#libs/live';
import { SbpError } from '#libs/protocol';
import type { HeldClaim, Orphan, QueueHead } from '#libs/store';
import {
  Freshness,
  Heartbeat,
  Orphans,
  ProcessIdentity,
  ProcessWatch,
  QueueHeads,
  Processes,
  SessionReads,
  ToolReads,
  Transcripts,
} from '#libs/store';
import { SYSTEM, SessionReleases } from '#libs/session-log';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { CompletionsOptions } from '../completions-options.js';
import { nobody } from '../http/turn-answer.js';
import { TurnQueue } from '../queue/turn-queue.js';
import { WaitingTurns } from '../queue/waiting-turns.js';
import { firstAttempt, nextAttempt } from '../turn/turn-attempt.js';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import { TurnEvents, headOf } from '../turn/turn-events.js';
import { ParkedTurns } from '../tools/parked-turns.js';
import { TurnObserver } from '../turn/turn-observer.js';
import { TurnRunner } from '../turn/turn-runner.js';
import { LostAnswers } from './lost-answers.js';

/** How often orphans are looked for, in ms. */
const SCAN_MS = 1_000;
/** How many takeovers may be in progress here at once; a turn that runs again is none. */
const MAX_TAKEOVERS = 64;

/**
 * Sees to it that a turn ends whatever dies [A6]: takes over what nobody looks after. A takeover
 * wins the claim at a higher epoch, appends `turn.adopted`, waits until that is folded, and then
 * runs the turn again, or lets the claim go where there is nothing to go on with. A turn that
 * waits, and whose holder is silent when its time comes, is started here [A14].
 */
@Injectable()
export class OrphanScan implements OnModuleInit {
  private readonly watch = new ProcessWatch();
  private readonly task: PeriodicTask;
  /** Sessions whose turn is being taken over. */
  private readonly takeovers = new Map<string, Promise<void>>();

  constructor(
    private readonly orphans: Orphans,
    private readonly heads: QueueHeads,
    private readonly queue: TurnQueue,
    private readonly waiting: WaitingTurns,
    private readonly processes: Processes,
    private readonly identity: ProcessIdentity,
    private readonly heartbeat: Heartbeat,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly transcripts: Transcripts,
    private readonly tools: ToolReads,
    private readonly parked: ParkedTurns,
    private readonly events: TurnEvents,
    private readonly releases: SessionReleases,
    private readonly runner: TurnRunner,
    private readonly live: LiveTurns,
    private readonly lostAnswers: LostAnswers,
    private readonly observer: TurnObserver,
    private readonly options: CompletionsOptions,
  ) {
    this.task = new PeriodicTask({
      everyMs: SCAN_MS,
      work: () => this.scan(),
      onFault: (error) => {
        this.watch.failed();
        options.onProblem('looking for orphaned turns failed', error);
      },
    });
  }

  onModuleInit(): void {
    this.heartbeat.onHeld((held, askedAt) => {
      this.live.keepOnly(new Set(held.map(attemptKey)), askedAt);
    });
    this.parked.onPoked(() => this.task.runNow());
    this.task.start();
    // Nobody has to be watched for a while to be known dead: a process that keeps dying still
    // adopts what it finds.
    if (this.options.othersDead) this.task.runNow();
  }

  /** Takes nothing over from now on; resolves when the takeovers in progress are done. */
  async stop(): Promise<void> {
    await this.task.stop();
    await Promise.allSettled(this.takeovers.values());
  }

  /** Whether a process is known to be dead. */
  judgesDead(incarnation: string): boolean {
    if (incarnation === this.identity.address.incarnation) return false;
    return (this.options.othersDead || this.watch.isSteady) && this.isDead(incarnation);
  }

  private async scan(): Promise<void> {
    const holders = await this.heads.holders();
    await this.wakeOwn(holders);
    const signs = await this.processes.signs();
    this.watch.observe(signs, performance.now());
    if (!this.options.othersDead && !this.watch.isSteady) return;
    const dead = (await this.orphans.runners()).filter((runner) => this.isDead(runner));
    const held = await this.orphans.heldBy(dead, 2 * MAX_TAKEOVERS);
    const unclaimed = await this.orphans.unclaimed(Date.now(), 2 * MAX_TAKEOVERS);
    const left = new Set(
      signs.filter(({ hasLeft }) => hasLeft).map(({ incarnation }) => incarnation),
    );
    for (const orphan of [...held, ...unclaimed]) {
      const { claim } = orphan;
      const handedOver = claim !== null && left.has(claim.incarnation);
      this.begin(orphan.sessionId, () => this.takeOver(orphan, handedOver));
    }
    const silent = holders.filter((holder) => this.isDead(holder));
    for (const head of await this.heads.heldBy(silent, 2 * MAX_TAKEOVERS)) {
      this.begin(head.sessionId, () => this.start(head));
    }
    await this.lostAnswers.report(
      signs.filter(({ incarnation, reaped }) => !reaped && this.isDead(incarnation)),
      new Set(dead),
    );
  }

  /** A poke that was lost would leave them waiting. */
  private async wakeOwn(holders: readonly string[]): Promise<void> {
    const { incarnation } = this.identity.address;
    const own = holders.filter((holder) => holder === incarnation);
    for (const { sessionId } of await this.heads.heldBy(own, 2 * MAX_TAKEOVERS)) {
      this.waiting.wake(sessionId);
    }
    this.waiting.sweep();
  }

  private isDead(incarnation: string): boolean {
    if (this.options.othersDead) return incarnation !== this.identity.address.incarnation;
    return this.watch.isSilent(incarnation);
  }

  private begin(sessionId: string, takeOver: () => Promise<TurnAttempt | null>): void {
    if (this.takeovers.size >= MAX_TAKEOVERS || this.takeovers.has(sessionId)) return;
    const takeover = takeOver()
      .then((attempt) => {
        if (attempt === null) return;
        // Not awaited by anybody: it may take minutes. The next scan finds what is left.
        void this.runner.run(attempt, nobody);
      })
      .catch((error: unknown) => this.options.onProblem('a turn was not taken over', error))
      .finally(() => {
        this.takeovers.delete(sessionId);
        // There may be more than were begun at once.
        if (this.takeovers.size === 0) this.task.runNow();
      });
    this.takeovers.set(sessionId, takeover);
  }

  /** The first attempt at a turn that waited; null where somebody else has started it. */
  private async start({ sessionId, turnId }: QueueHead): Promise<TurnAttempt | null> {
    const waiting = await this.reads.waiting(sessionId, turnId);
    if (waiting === null) return null;
    const { request: asked, background: isBackground } = waiting;
    try {
      const claimed = await this.queue.claimHead(sessionId, turnId, asked, asked.endedBefore);
      if (claimed?.state.phase !== 'open') return null;
      const opener = claimed.state;
      return firstAttempt(claimed, {
        asked,
        by: SYSTEM,
        opener,
        entry: 'queued',
        isBackground,
        askedAt: null,
      });
    } catch (error) {
      if (!(error instanceof SbpError)) throw error;
      const { code, message } = error;
      await this.queue.withdraw(sessionId, turnId, { code, message }, 'gone');
      return null;
    }
  }

  /**
   * The attempt to run; null where there is nothing to go on with. `handedOver`: its last runner
   * ended on purpose; else it died.
   */
  private async takeOver(orphan: Orphan, handedOver: boolean): Promise<TurnAttempt | null> {
    const { sessionId, turnId } = orphan;
    const { othersDead } = this.options;
    const judgedBy = othersDead ? null : (runner: string) => this.watch.beatOf(runner);
    // A parked turn has no claim: whoever holds one has died.
    const wasParked = orphan.claim === null && (await this.isParked(orphan));
    const epoch = await this.orphans.adopt(orphan, this.identity.address, judgedBy);
    if (epoch === null) return null;
    try {
      const attempt = await this.adopt(orphan, epoch, handedOver);
      if (attempt !== null && !wasParked) this.observer.adopted(sessionId, turnId);
      return attempt;
    } catch (error) {
      // The claim of a living process is nobody's orphan: it is let go, so that the next scan finds
      // the turn again.
      await this.letGo(sessionId, turnId, epoch, null);
      throw error;
    }
  }

  private async isParked({ sessionId, turnId }: Orphan): Promise<boolean> {
    return (await this.reads.attempt(sessionId, turnId))?.status === 'parked';
  }

  private async adopt(
    { sessionId, turnId }: Orphan,
    epoch: number,
    handedOver: boolean,
  ): Promise<TurnAttempt | null> {
    const adopted = await this.events.adopt({ sessionId, turnId }, epoch, handedOver);
    const head = headOf(adopted);
    if (adopted.type === 'appended') await this.freshness.untilFolded(adopted.position);
    const state = await this.reads.state(sessionId);
    const turn = state.phase === 'open' ? state.turn : null;
    if (state.phase !== 'open' || turn?.turnId !== turnId || turn.epoch !== epoch) {
      // It ended, and its answer cannot have left, because that waits for the release [A2]; or it
      // was never started.
      await this.events.undelivered(sessionId, turnId);
      await this.letGo(sessionId, turnId, epoch, head);
      return null;
    }
    const [record, transcript, system, notes, rounds] = await Promise.all([
      this.reads.turn(sessionId, turnId),
      this.transcripts.load(sessionId, state),
      this.transcripts.system(sessionId, state),
      this.transcripts.notes(state),
      this.tools.rounds(sessionId, turn.rounds === 0 ? [] : [turn.number]),
    ]);
    if (record === null) throw new Error(`turn ${turnId} of ${sessionId} is open but not stored`);
    const stored = { system: [...system, ...notes], transcript, rounds };
    const attempt = nextAttempt(sessionId, state, record, stored);
    if (!mustGiveUp(turn)) return attempt;
    const message = `The turn was given up: ${turn.adoptions} processes that ran it died.`;
    const failed = await this.events.fail(attempt, {
      error: { code: 'SBP_TURN_ABANDONED', message },
      caller: 'gone',
      reachedModel: true,
      upstreamStatus: null,
      answer: null,
    });
    this.observer.gaveUp(attempt);
    await this.letGo(sessionId, turnId, epoch, headOf(failed));
    return null;
  }

  private async letGo(
    sessionId: string,
    turnId: string,
    epoch: number,
    head: number | null,
  ): Promise<void> {
    await this.releases.release({ sessionId, turnId, epoch, head, answeredBy: null });
  }
}

function attemptKey({ sessionId, epoch }: HeldClaim): string {
  return `${sessionId} ${epoch}`;
}
