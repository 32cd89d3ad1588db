import type { CustomTransportStrategy, MessageHandler } from '@nestjs/microservices';
import { Server } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import type { EntityManager } from 'typeorm';
import type { Database } from '#libs/sql';
import { Limit } from '#libs/timing';
import type { ConsumerPositions } from '../consumer-positions.js';
import type { EventLog, LogBatch, LogSubscription } from '../ports/event-log.js';
import type { AfterCommit } from '../transactional-reader.js';
import { transactionalReader } from '../transactional-reader.js';
import { BatchContext } from './batch-context.js';
import type { ConsumerOptions } from './log-consumer.js';

export interface EventLogTransportOptions {
  readonly log: EventLog;
  /**
   * Holds the effects and the positions. It must outlive the transport: close it in
   * `onApplicationShutdown`, not before.
   */
  readonly database: Database;
  readonly positions: ConsumerPositions;
  /** The most records in a batch. */
  readonly batchSize: number;
  readonly onProblem: (problem: string, error?: unknown) => void;
  /** Called after each commit of any consumer. */
  readonly onCommitted?: (batch: LogBatch) => void;
  /**
   * Called once for each partition that a consumer of this process gets, before it reads anything
   * of it.
   */
  readonly onAssigned?: (consumer: string, partition: number) => Promise<void>;
}

/** Fewer than a process's connections to Postgres. */
const MOST_TRANSACTIONS = 4;

type BatchHandler = MessageHandler<LogBatch, BatchContext>;

/**
 * Nest's way to read the turn log: `@LogConsumer('<name>')` (an `@EventPattern`) on a controller's
 * method makes it that consumer. Its payload is a `LogBatch`, its context a `BatchContext`. The
 * consumer's position moves in the transaction of the handler's writes; a handler that fails is
 * undone, reported, and called again with the same records, for as long as it takes: none is passed
 * over. With `HandlerErrors` as a filter the report holds the handler's own error; without it, what
 * Nest puts in its place. Two handlers of one name are an error of `connectMicroservice`.
 */
export class EventLogTransport extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('event log');
  override readonly propagatesEventHandlerErrors = true;
  private subscriptions: readonly LogSubscription[] = [];
  private readonly transactions = new Limit(MOST_TRANSACTIONS);

  constructor(private readonly options: EventLogTransportOptions) {
    super();
  }

  /** The names of the consumers that it has handlers of. */
  get consumers(): readonly string[] {
    return [...this.messageHandlers.keys()];
  }

  override addHandler(
    pattern: unknown,
    handler: MessageHandler,
    isEventHandler = false,
    extras: Record<string, unknown> = {},
  ): void {
    const consumer = this.normalizePattern(pattern as string);
    if (!isEventHandler)
      throw new Error(`'${consumer}' is a @MessagePattern; the event log answers nobody.`);
    // Nest would chain them, and the second's failure would undo the first's work.
    if (this.messageHandlers.has(consumer))
      throw new Error(`The consumer '${consumer}' has two handlers.`);
    super.addHandler(pattern, handler, isEventHandler, extras);
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      const handlers = [...this.messageHandlers] as [string, BatchHandler][];
      this.subscriptions = await Promise.all(
        handlers.map(([consumer, handler]) => this.subscribe(consumer, handler)),
      );
      callback();
    } catch (error) {
      callback(error);
    }
  }

  /** Resolves when the batches in hand are done. */
  async close(): Promise<void> {
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
    this.subscriptions = [];
  }

  on(): never {
    throw new Error('The event log transport has no events of its own.');
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the base class's signature
  unwrap<T>(): T {
    return this.options.log as T;
  }

  private subscribe(consumer: string, handler: BatchHandler): Promise<LogSubscription> {
    const { log, onAssigned, ...reader } = this.options;
    const { lingerMs = 0 } = (handler.extras ?? {}) as ConsumerOptions;
    const effects = async (
      batch: LogBatch,
      transaction: EntityManager,
      afterCommit: AfterCommit,
    ): Promise<void> => {
      const result: unknown = await handler(
        batch,
        new BatchContext(batch, transaction, afterCommit),
      );
      if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
    };
    return log.subscribe(
      transactionalReader({
        ...reader,
        ...{ consumer, lingerMs, effects, transactions: this.transactions },
        ...(onAssigned === undefined
          ? {}
          : { onAssigned: (partition: number) => onAssigned(consumer, partition) }),
      }),
    );
  }
}
