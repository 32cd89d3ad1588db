import { BaseRpcContext } from '@nestjs/microservices';
import type { EntityManager } from 'typeorm';
import type { LogBatch } from '../ports/event-log.js';
import type { AfterCommit } from '../transactional-reader.js';

/**
 * What a batch's handler gets as `@Ctx()`: the transaction that its effects and the consumer's
 * position share [A4].
 */
export class BatchContext extends BaseRpcContext<[LogBatch]> {
  constructor(
    batch: LogBatch,
    /**
     * Open until the handler is done. The handler must not wait for another write, nor for an
     * append to the log.
     */
    readonly transaction: EntityManager,
    /**
     * For what is told to others: it is called when the batch's effects can be read, and not at all
     * if they are undone.
     */
    readonly afterCommit: AfterCommit,
  ) {
    super([batch]);
  }
}
