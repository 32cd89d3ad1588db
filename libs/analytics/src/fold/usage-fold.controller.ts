import { Controller, UseFilters } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import type { LogBatch } from '#libs/event-log';
import { BatchContext, HandlerErrors, LogConsumer } from '#libs/event-log';
import { ANALYTICS, UsageFold } from './usage-fold.js';

/** Nobody waits for the counters, so what comes within a second is one transaction. */
const LINGER_MS = 1_000;

/** Counts the log [A4]. */
@Controller()
@UseFilters(HandlerErrors)
export class UsageFoldController {
  constructor(private readonly fold: UsageFold) {}

  @LogConsumer(ANALYTICS, { lingerMs: LINGER_MS })
  async count(@Payload() batch: LogBatch, @Ctx() { transaction }: BatchContext): Promise<void> {
    const events = batch.records.flatMap(({ event }) => (event === null ? [] : [event]));
    await this.fold.apply(transaction, events);
  }
}
