import type { Client, Pool } from 'pg';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { within } from '#libs/timing';
import { storageFault, thrownByWork } from '../faults/driver-errors.js';
import { StorageFault } from '../faults/storage-fault.js';

/** In ms. A socket that was destroyed says so at once; if not, it is not waited for longer. */
const DESTROY_WAIT = 1_000;

interface Connection {
  readonly runner: QueryRunner;
  readonly client: Client;
}

/**
 * Lends the connections of the pool, each for a bounded time. What is not done by then may stand on
 * a network that swallows bytes, or on a server that is stopped: it would never end, and would keep
 * its connection from everybody else. So the connection is destroyed. Whenever one is lost or
 * destroyed, each that was made before is destroyed before it is lent again, because it is most
 * likely dead too.
 */
export class PostgresConnections {
  /** Rises when a connection of the present generation is lost. */
  private generation = 0;
  private readonly bornIn = new WeakMap<Client, number>();

  constructor(private readonly dataSource: DataSource) {
    const { master } = dataSource.driver as unknown as { master: Pool };
    master.on('connect', (client) => this.bornIn.set(client as Client, this.generation));
  }

  /**
   * Runs work on one connection. A transaction that the work leaves open dies with the connection.
   *
   * @param limitMs from the call on, the wait for a connection included
   * @throws StorageFault, or what the work threw
   */
  async use<T>(work: (runner: QueryRunner) => Promise<T>, limitMs: number): Promise<T> {
    const until = performance.now() + limitMs;
    const connection = await this.acquire();
    const { runner } = connection;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new StorageFault('timeout', `The database did not answer in ${limitMs} ms.`));
    }, until - performance.now());
    let lost = false;
    try {
      return await Promise.race([
        work(runner),
        late.promise.catch((fault: unknown) => {
          lost = true;
          throw fault;
        }),
      ]);
    } catch (error) {
      const thrown = thrownByWork(error);
      lost ||= thrown instanceof StorageFault && thrown.kind === 'unavailable';
      throw thrown;
    } finally {
      clearTimeout(timer);
      if (lost) this.endGenerationOf(connection);
      if (lost || runner.isTransactionActive) await destroy(connection);
      else await runner.release();
    }
  }

  /** As `use`, in one transaction. */
  transaction<T>(work: (transaction: EntityManager) => Promise<T>, limitMs: number): Promise<T> {
    return this.use(async (runner) => {
      await runner.startTransaction();
      const result = await orRollBack(runner, work);
      await runner.commitTransaction();
      return result;
    }, limitMs);
  }

  private async acquire(): Promise<Connection> {
    for (;;) {
      const runner = this.dataSource.createQueryRunner();
      let client: Client;
      try {
        client = (await runner.connect()) as Client;
      } catch (error) {
        throw storageFault(error);
      }
      const connection = { runner, client };
      if (this.isCurrent(connection)) return connection;
      await destroy(connection);
    }
  }

  private endGenerationOf(connection: Connection): void {
    // Several are lost at once: those made since then are good.
    if (this.isCurrent(connection)) this.generation += 1;
  }

  private isCurrent({ client }: Connection): boolean {
    return (this.bornIn.get(client) ?? 0) === this.generation;
  }
}

async function orRollBack<T>(
  runner: QueryRunner,
  work: (transaction: EntityManager) => Promise<T>,
): Promise<T> {
  try {
    return await work(runner.manager);
  } catch (error) {
    await runner.rollbackTransaction().catch(() => {
      // The transaction counts as open still, so its connection will be destroyed.
    });
    throw error;
  }
}

/**
 * Closes the socket at once, because a farewell to a peer that does not answer would never be over.
 * When its end is noticed, TypeORM and the pool let go of the connection by themselves.
 */
async function destroy({ runner, client }: Connection): Promise<void> {
  if (!runner.isReleased) {
    const ended = new Promise<void>((resolve) => client.once('end', resolve));
    const { connection } = client as unknown as { connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
    await within(ended, DESTROY_WAIT);
  }
  await runner.release();
}
