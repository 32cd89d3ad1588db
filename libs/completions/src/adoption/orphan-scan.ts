import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import type { OpenSession } from '#libs/domain';
import { mustGiveUp } from '#libs/domain';
import { EventLog } from '#libs/event-log';
import type { Orphan } from '#libs/store';
import {
  Claims,
  Freshness,
  Heartbeat,
  ProcessIdentity,
  Processes,
  SessionReads,
} from '#libs/store';
import { nobody } from '../http/caller.js';
import { LiveTurns } from '#libs/live';
import { SessionReleases } from '../claim/session-releases.js';
import { CompletionsOptions } from '../completions-options.js';
import { TurnFacts } from '../turn/turn-facts.js';
import { TurnRunner } from '../turn/turn-runner.js';

/** How often orphans are looked for, in ms. */
const SCAN_MS = 1_000;
/** How many adopted turns may run here at once. */
const MAX_ADOPTED = 64;

/**
 * Sees to it that a turn ends whatever dies [A6]: takes over what nobody looks after, and makes
 * lost answers owed.
 */
@Injectable()
export class OrphanScan implements OnModuleInit, OnModuleDestroy {
  private timer: NodeJS.Timeout | null = null;
  private adoptions: Promise<void> | null = null;
  private reports: Promise<void> | null = null;
  private readonly adopting = new Set<string>();

  constructor(
    private readonly claims: Claims,
    private readonly processes: Processes,
    private readonly identity: ProcessIdentity,
    private readonly heartbeat: Heartbeat,
    private readonly freshness: Freshness,
    private readonly reads: SessionReads,
    private readonly facts: TurnFacts,
    private readonly releases: SessionReleases,
    private readonly runner: TurnRunner,
    private readonly live: LiveTurns,
    private readonly log: EventLog,
    private readonly options: CompletionsOptions,
  ) {}

  onModuleInit(): void {
    this.heartbeat.onHeld((held, askedAt) => {
      this.live.keepOnly(held, askedAt);
    });
    this.timer = setInterval(() => this.look(), SCAN_MS);
    // Nobody has to be watched for a while to be known dead: a process that keeps dying still
    // adopts what it finds.
    if (this.options.othersDead) this.look();
  }

  async onModuleDestroy(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    await Promise.all([this.adoptions, this.reports]);
  }

  private look(): void {
    // Who was out of touch itself must not judge others dead.
    if (!this.options.othersDead && !this.heartbeat.isSteady()) return;
    this.adoptions ??= this.adoptOrphans()
      .catch((error: unknown) => this.options.onProblem('looking for orphaned turns failed', error))
      .finally(() => (this.adoptions = null));
    // Beside the adoptions: it waits for the whole fold, they must not.
    this.reports ??= this.reportUndelivered()
      .catch((error: unknown) =>
        this.options.onProblem('looking for undelivered answers failed', error),
      )
      .finally(() => (this.reports = null));
  }

  private async adoptOrphans(): Promise<void> {
    const { othersDead } = this.options;
    const me = this.identity.address;
    for (const orphan of await this.claims.orphans(me, othersDead, MAX_ADOPTED)) {
      if (this.adopting.has(orphan.sessionId) || this.adopting.size >= MAX_ADOPTED) continue;
      this.adopting.add(orphan.sessionId);
      // Not awaited: an adopted turn may take minutes. Its faults are reported; the next scan finds
      // what is left.
      void this.adopt(orphan)
        .catch((error: unknown) => this.options.onProblem('an adopted turn failed', error))
        .finally(() => this.adopting.delete(orphan.sessionId));
    }
  }

  private async adopt(orphan: Orphan): Promise<void> {
    const { sessionId, turnId } = orphan;
    // An open turn without a claim may just not be folded to its end.
    if (orphan.epoch === null && !(await this.isOpen(sessionId, turnId))) return;
    const epoch = await this.claims.adopt(orphan, this.identity.address, this.options.othersDead);
    if (epoch === null) return;
    try {
      await this.takeOver(sessionId, turnId, epoch);
    } catch (error) {
      // The claim of a living process is nobody's orphan: it is let go, so that the next scan finds
      // the turn again.
      await this.releases.release(sessionId, epoch, null);
      throw error;
    }
  }

  private async takeOver(sessionId: string, turnId: string, epoch: number): Promise<void> {
    const adopted = await this.facts.adopt(sessionId, turnId, epoch);
    const head = adopted.type === 'appended' ? adopted.position.offset : null;
    if (adopted.type === 'appended') await this.untilFolded(adopted.position);
    const state = await this.reads.state(sessionId);
    if (state.phase !== 'open' || state.turn?.turnId !== turnId || state.turn.epoch !== epoch) {
      // Never started, or ended: there is nothing to go on with.
      await this.releases.release(sessionId, epoch, head);
      return;
    }
    await this.goOn(sessionId, state, state.turn);
  }

  private async goOn(
    sessionId: string,
    state: OpenSession,
    turn: NonNullable<OpenSession['turn']>,
  ): Promise<void> {
    const { turnId, epoch } = turn;
    const [record, transcript] = await Promise.all([
      this.reads.turn(sessionId, turnId),
      this.reads.transcript(sessionId),
    ]);
    if (record === null)
      throw new Error(`turn ${turnId} of session ${sessionId} is open but not stored`);
    const { model, options, checkpointEvery, keeps, messages } = record;
    const attempt = {
      sessionId,
      turnId,
      epoch,
      state,
      opener: state,
      request: { update: { keeps, messages, system: null }, model, options, checkpointEvery },
      messages: [...transcript.system, ...transcript.entries.map((entry) => entry.message)],
      adopted: true,
    };
    this.options.onAdopted(sessionId, turnId);
    if (mustGiveUp(turn)) {
      const message = `The turn was given up: ${turn.adoptions} processes that ran it died.`;
      const failed = await this.facts.fail(
        attempt,
        { code: 'SBP_TURN_ABANDONED', message },
        'gone',
      );
      await this.releases.release(
        sessionId,
        epoch,
        failed.type === 'appended' ? failed.position.offset : null,
      );
      return;
    }
    const session = { sessionId, sessionToken: '' };
    await this.runner.run(attempt, { caller: nobody, session, showUsage: false });
  }

  private async isOpen(sessionId: string, turnId: string): Promise<boolean> {
    await this.freshness.settle(sessionId);
    const state = await this.reads.state(sessionId);
    return state.phase === 'open' && state.turn?.turnId === turnId;
  }

  /** An adopted turn must be seen in the fold before it goes on, however long that takes. */
  private async untilFolded(position: {
    readonly partition: number;
    readonly offset: number;
  }): Promise<void> {
    while (!(await this.freshness.reached(position)));
  }

  /**
   * Answers that a process gave just before it died may never have arrived: surfaces are owed them.
   */
  private async reportUndelivered(): Promise<void> {
    const { othersDead } = this.options;
    for (const dead of await this.processes.unreaped(this.identity.address, othersDead)) {
      // Its last appends must be folded before its turns are judged.
      for (let partition = 0; partition < this.log.partitions; partition++) {
        const offset = (await this.log.end(partition)) - 1;
        if (!(await this.freshness.reached({ partition, offset }))) return;
      }
      for (const { sessionId, turnId } of await this.processes.undelivered(dead)) {
        await this.facts.undelivered(sessionId, turnId);
      }
      await this.processes.reaped(dead);
    }
  }
}
