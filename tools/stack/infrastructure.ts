import path from 'node:path';
import { createDatabase, startKafka, startPostgres } from '../infrastructure/index.js';
import type { SupervisedProcess } from '../supervise/index.js';

/** Kafka and Postgres that run already, and that the stack neither starts nor stops. */
export interface ExistingInfrastructure {
  readonly kafkaBrokers: string;
  /** The administrator's address; the stack makes a database of its own there. */
  readonly postgresUrl: string;
}

export interface Infrastructure {
  readonly kafkaBrokers: string;
  /** The address of the stack's own database. */
  readonly postgresUrl: string;
  readonly processes: readonly SupervisedProcess[];
  stop(): Promise<void>;
}

export interface InfrastructureOptions {
  readonly existing: ExistingInfrastructure | undefined;
  readonly brokers: 1 | 3;
  readonly dataDir: string;
  readonly logDir: string;
  readonly database: string;
  readonly restart: boolean;
  readonly say: (message: string) => void;
}

export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const { existing, brokers, database, dataDir, logDir, restart, say } = options;
  if (existing !== undefined) {
    return {
      kafkaBrokers: existing.kafkaBrokers,
      postgresUrl: await createDatabase(existing.postgresUrl, database),
      processes: [],
      stop: () => Promise.resolve(),
    };
  }
  say('Starting Kafka and Postgres …');
  const [kafka, postgres] = await Promise.allSettled([
    startKafka({ dataDir: path.join(dataDir, 'kafka'), brokers, logDir, restart, say }),
    startPostgres({ dataDir: path.join(dataDir, 'postgres'), logDir, restart }),
  ]);
  const stop = async (): Promise<void> => {
    const running = [kafka, postgres].flatMap((each) =>
      each.status === 'fulfilled' ? [each.value] : [],
    );
    await Promise.all(running.map((each) => each.stop()));
  };
  try {
    if (kafka.status === 'rejected') throw kafka.reason;
    if (postgres.status === 'rejected') throw postgres.reason;
    return {
      kafkaBrokers: kafka.value.brokers,
      postgresUrl: await createDatabase(postgres.value.url, database),
      processes: [...kafka.value.processes, postgres.value.process],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
