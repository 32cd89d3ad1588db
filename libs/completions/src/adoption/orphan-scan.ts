import { mustGiveUp } from '#libs/domain';
import { LiveTurns } from '#libs/live';
import type { HeldClaim, Orphan } from '#libs/store';
import {
  Freshness,
  Heartbeat,
  Orphans,
  ProcessIdentity,
  ProcessWatch,
  Processes,
  SessionReads,
  Transcripts,
} from '#libs/store';
import { PeriodicTask } from '#libs/timing';
import type { OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { SessionReleases } from '../claim/session-releases.js';
import { CompletionsOptions } from '../completions-options.js';
import { nextAttempt } from '../turn/turn-attempt.js';
import type { TurnAttempt } from '../turn/turn-attempt.js';
import { TurnEvents, headOf } from '../turn/turn-events.js';
import type { RunReader } from '../turn/turn-runner.js';
import { TurnRunner } from '../turn/turn-runner.js';
import { LostAnswers } from './lost-answers.js';

/** How often orphans are looked for, in ms. */
const SCAN_MS = 1_000;
/** How many takeovers may be in progress here at once; a turn that runs again is none. */
const MAX_TAKEOVERS = 64;

/** Nobody reads an adopted turn over HTTP: its caller is gone with its process. */
const nobody: RunReader = {
  showUsage: false,
  presence: () => 'gone',
  onLeft: () => undefined,
  begin: () => undefined,
  chunk: () => undefined,
};

/**
 * Sees to it that a turn ends whatever dies [A6]: takes over what nobody looks after. A takeover
 * wins the claim at a higher epoch, appends `turn.adopted`, waits until that is folded, and then
 * runs the turn again, or lets the claim go where there is nothing to go on with.
 */
@Injectable()
export class OrphanScan implements OnModuleInit {
  private readonly watch = new ProcessWatch();
  private readonly task: PeriodicTask;
  /** Sessions whose turn is being taken over. */
  private readonly takeovers = new Map<string, Promise<void>>();

  constructor(
    private readonly orphans: Orphans,
    private readonly processes: Processes,
    private readonly identity: ProcessIdentity,
    private readonly heartbeat: Heartbeat,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly transcripts: Transcripts,
    private readonly events: TurnEvents,
    private readonly releases: SessionReleases,
    private readonly runner: TurnRunner,
    private readonly live: LiveTurns,
    private readonly lostAnswers: LostAnswers,
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

  private async scan(): Promise<void> {
    const signs = await this.processes.signs();
    this.watch.observe(signs, performance.now());
    if (!this.options.othersDead && !this.watch.isSteady) return;
    const dead = (await this.orphans.runners()).filter((runner) => this.isDead(runner));
    const held = await this.orphans.heldBy(dead, 2 * MAX_TAKEOVERS);
    const unclaimed = await this.orphans.unclaimed(2 * MAX_TAKEOVERS);
    const left = new Set(
      signs.filter(({ hasLeft }) => hasLeft).map(({ incarnation }) => incarnation),
    );
    for (const orphan of [...held, ...unclaimed]) {
      const { claim } = orphan;
      this.begin(orphan, claim !== null && left.has(claim.incarnation));
    }
    await this.lostAnswers.report(
      signs.filter(({ incarnation, reaped }) => !reaped && this.isDead(incarnation)),
      new Set(dead),
    );
  }

  private isDead(incarnation: string): boolean {
    if (this.options.othersDead) return incarnation !== this.identity.address.incarnation;
    return this.watch.isSilent(incarnation);
  }

  /** `handedOver`: its last runner ended on purpose; else it died. */
  private begin(orphan: Orphan, handedOver: boolean): void {
    const { sessionId } = orphan;
    if (this.takeovers.size >= MAX_TAKEOVERS || this.takeovers.has(sessionId)) return;
    const takeover = this.takeOver(orphan, handedOver)
      .then((attempt) => {
        if (attempt !== null) this.run(attempt);
      })
      .catch((error: unknown) => this.options.onProblem('a turn was not taken over', error))
      .finally(() => {
        this.takeovers.delete(sessionId);
        // There may be more than were begun at once.
        if (this.takeovers.size === 0) this.task.runNow();
      });
    this.takeovers.set(sessionId, takeover);
  }

  /** Not awaited by anybody: an adopted turn may take minutes. The next scan finds what is left. */
  private run(attempt: TurnAttempt): void {
    this.options.onAdopted(attempt.sessionId, attempt.turnId);
    void this.runner.run(attempt, nobody);
  }

  /** The attempt to run; null where there is nothing to go on with. */
  private async takeOver(orphan: Orphan, handedOver: boolean): Promise<TurnAttempt | null> {
    const { sessionId, turnId } = orphan;
    const { othersDead } = this.options;
    const judgedBy = othersDead ? null : (runner: string) => this.watch.beatOf(runner);
    const epoch = await this.orphans.adopt(orphan, this.identity.address, judgedBy);
    if (epoch === null) return null;
    try {
      return await this.adopt(orphan, epoch, handedOver);
    } catch (error) {
      // The claim of a living process is nobody's orphan: it is let go, so that the next scan finds
      // the turn again.
      await this.letGo(sessionId, turnId, epoch, null);
      throw error;
    }
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
    const [record, transcript, system] = await Promise.all([
      this.reads.turn(sessionId, turnId),
      this.transcripts.load(sessionId, state),
      this.transcripts.system(sessionId, state),
    ]);
    if (record === null) throw new Error(`turn ${turnId} of ${sessionId} is open but not stored`);
    const attempt = nextAttempt(sessionId, state, record, { system, transcript });
    if (!mustGiveUp(turn)) return attempt;
    const message = `The turn was given up: ${turn.adoptions} processes that ran it died.`;
    const failed = await this.events.fail(attempt, {
      error: { code: 'SBP_TURN_ABANDONED', message },
      caller: 'gone',
      reachedModel: true,
      upstreamStatus: null,
    });
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
