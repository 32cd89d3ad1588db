import type { LogEvent, Message } from '#libs/protocol';
import type { OpenOutcome } from '#libs/store';
import type { TestBackend } from '#libs/testing';
import { TestProcess } from '#libs/testing';
import { sessionOpened, turnStarted, user } from '#libs/domain/testing';

/** What a process did before it died; its heart never beats. */
export class DeadProcess {
  private constructor(
    private readonly backend: TestBackend,
    readonly process: TestProcess,
  ) {}

  static async on(backend: TestBackend): Promise<DeadProcess> {
    return new DeadProcess(backend, await TestProcess.on(backend));
  }

  get incarnation(): string {
    return this.process.address.incarnation;
  }

  /** Opens a session for a turn; gives the claim's epoch. */
  async open(sessionId: string, turnId: string): Promise<number> {
    const { claims, address: runner } = this.process;
    const opened: OpenOutcome = await claims.open({
      sessionId,
      turnId,
      runner,
      principal: 'anonymous',
      agentId: sessionId,
      replaces: 'any',
    });
    if (opened.type !== 'opened') throw new Error('it was not opened');
    return opened.epoch;
  }

  /** Claims an open session for its next turn; gives the claim's epoch. */
  async claim(sessionId: string, turnId: string): Promise<number> {
    const { claims, address: runner } = this.process;
    const target = { type: 'session', sessionId, principal: null } as const;
    const outcome = await claims.claim({ target, turnId, runner });
    if (outcome.type !== 'claimed') throw new Error('it was not claimed');
    return outcome.epoch;
  }

  /** The events of a first turn's start. */
  started(
    session: string,
    turn: string,
    epoch: number,
    messages: readonly Message[] = [user('Hello')],
  ): readonly [LogEvent, LogEvent] {
    const { address: runner } = this.process;
    return [
      sessionOpened(epoch, { session }),
      turnStarted(epoch, { session, turn, runner, messages }),
    ];
  }

  /** Opens a session and starts a turn in it; gives the claim's epoch. */
  async start(sessionId: string, turnId: string, messages?: readonly Message[]): Promise<number> {
    const epoch = await this.open(sessionId, turnId);
    await this.backend.append(...this.started(sessionId, turnId, epoch, messages));
    return epoch;
  }
}
