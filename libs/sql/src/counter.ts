import type { Logger } from 'typeorm';
import type { DatabaseCounts, Dialect } from './database.js';

/**
 * Counts what is sent: TypeORM tells its logger of every statement, on both dialects. Nothing is
 * logged.
 */
export class Counter implements Logger {
  private statements = 0;
  private durableCommits = 0;
  private relaxedCommits = 0;

  constructor(private readonly dialect: Dialect) {}

  counts(): DatabaseCounts {
    const { statements, durableCommits, relaxedCommits } = this;
    // Each statement to Postgres is sent alone, and its answer is waited for.
    const roundTrips = this.dialect === 'postgres' ? statements : 0;
    return { statements, roundTrips, durableCommits, relaxedCommits };
  }

  committed(durable: boolean): void {
    if (durable) this.durableCommits += 1;
    else this.relaxedCommits += 1;
  }

  logQuery(): void {
    this.statements += 1;
  }

  logQueryError(): void {
    // The caller gets it as a fault.
  }

  logQuerySlow(): void {
    // Not asked for.
  }

  logSchemaBuild(): void {
    // Not asked for.
  }

  logMigration(): void {
    // Not asked for.
  }

  log(): void {
    // Not asked for.
  }
}
