import { Injectable } from '@nestjs/common';
import type { Logger } from '#libs/telemetry';

const CHECK_TIMEOUT_MS = 2000;

/** One thing that must work for this process to serve. */
export abstract class ReadinessCheck {
  abstract readonly name: string;
  /**
   * Rejects while it does not work. Never called again before it settled; after 2 s it counts as
   * failed.
   */
  abstract check(): Promise<void>;
}

export interface ReadinessReport {
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, 'ok' | 'failed' | 'timed out'>>;
}

/** Whether this process can serve: all its checks pass. */
@Injectable()
export class Readiness {
  private readonly checks: ReadinessCheck[];
  private readonly logger: Logger;
  private readonly running = new Map<ReadinessCheck, Promise<Outcome>>();
  private lastProblems = '';

  constructor(checks: readonly ReadinessCheck[], logger: Logger) {
    this.checks = [...checks];
    this.logger = logger;
  }

  add(check: ReadinessCheck): void {
    this.checks.push(check);
  }

  async report(): Promise<ReadinessReport> {
    const results = await Promise.all(
      this.checks.map(async (check) => ({
        name: check.name,
        outcome: await withinLimit(this.run(check)),
      })),
    );
    this.logChange(results);
    return {
      ready: results.every(({ outcome }) => outcome.type === 'ok'),
      checks: Object.fromEntries(results.map(({ name, outcome }) => [name, outcome.type])),
    };
  }

  private run(check: ReadinessCheck): Promise<Outcome> {
    const running = this.running.get(check);
    if (running !== undefined) return running;
    const started = settle(check).finally(() => this.running.delete(check));
    this.running.set(check, started);
    return started;
  }

  /** Probes come every few seconds; only a change is news. */
  private logChange(
    results: readonly { readonly name: string; readonly outcome: Outcome }[],
  ): void {
    const failing = results.filter(({ outcome }) => outcome.type !== 'ok');
    const problems = failing.map(({ name, outcome }) => `${name} ${outcome.type}`).join(', ');
    if (problems === this.lastProblems) return;
    this.lastProblems = problems;
    const errors = failing.flatMap(({ outcome }) =>
      outcome.type === 'failed' ? [String(outcome.error)] : [],
    );
    if (problems === '') this.logger.info('Ready');
    else this.logger.warn({ errors }, `Not ready: ${problems}`);
  }
}

type Outcome =
  { readonly type: 'ok' | 'timed out' } | { readonly type: 'failed'; readonly error: unknown };

async function settle(check: ReadinessCheck): Promise<Outcome> {
  try {
    await check.check();
    return { type: 'ok' };
  } catch (error) {
    return { type: 'failed', error };
  }
}

async function withinLimit(outcome: Promise<Outcome>): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const timer = setTimeout(() => resolve({ type: 'timed out' }), CHECK_TIMEOUT_MS);
  try {
    return await Promise.race([outcome, promise]);
  } finally {
    clearTimeout(timer);
  }
}
