import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import type SqliteFile from 'better-sqlite3';
import type { DataSource, QueryRunner } from 'typeorm';
import { StorageFault } from '../faults/storage-fault.js';
import type { WriterConnection } from './write-lane.js';

/**
 * The pages of the write-ahead log from which on a commit copies them into the file, 16 MiB. SQLite
 * would do it at a quarter of that, and write a page that changes at each turn four times as often.
 */
const CHECKPOINT_PAGES = 4_000;

/**
 * The one connection that writes. Its commits do not sync (`synchronous=NORMAL`): they are in the
 * write-ahead log when they return, and `sync` brings that to the disk, in a thread beside the
 * event loop.
 */
export class Writer implements WriterConnection {
  private wal: FileHandle | null = null;
  /** Whether a sync has failed, so that the log may have a hole that no later sync fills. */
  private mayHaveHole = false;
  private isPrepared = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly file: string,
  ) {}

  async runner(): Promise<QueryRunner> {
    if (!this.dataSource.isInitialized) await this.dataSource.initialize();
    if (!this.isPrepared) {
      this.connection.pragma('synchronous = NORMAL');
      this.connection.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      this.isPrepared = true;
    }
    if (this.mayHaveHole) this.startLogAnew();
    return this.dataSource.createQueryRunner();
  }

  inTransaction(): boolean {
    return this.connection.inTransaction;
  }

  /** @throws what the disk says; what was committed last may then not be on it */
  async sync(): Promise<void> {
    try {
      // It is there while a connection is open, and stays the same file.
      this.wal ??= await open(`${this.file}-wal`, 'r+');
      await this.wal.datasync();
    } catch (error) {
      this.mayHaveHole = true;
      throw error;
    }
  }

  async reset(): Promise<void> {
    await this.close();
    await this.dataSource.initialize();
  }

  async close(): Promise<void> {
    this.isPrepared = false;
    const { wal } = this;
    this.wal = null;
    await wal?.close();
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  /**
   * After a failed sync the kernel takes its pages for written, so the next sync may succeed
   * without them. A checkpoint writes all of them to another file, and waits for the disk.
   */
  private startLogAnew(): void {
    const [result] = this.connection.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    if (result?.busy !== 0) {
      throw new StorageFault('unavailable', 'The write-ahead log cannot be written anew yet.');
    }
    this.mayHaveHole = false;
  }

  private get connection(): SqliteFile.Database {
    const driver = this.dataSource.driver as unknown as { databaseConnection: SqliteFile.Database };
    return driver.databaseConnection;
  }
}
