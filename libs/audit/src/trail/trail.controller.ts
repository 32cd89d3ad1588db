import { Controller, UseFilters } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import type { LogBatch } from '#libs/event-log';
import { BatchContext, HandlerErrors, LogConsumer } from '#libs/event-log';
import { AUDIT, Trail } from './trail.js';

/** Nobody waits for the trail, so what comes within a second is one transaction. */
const LINGER_MS = 1_000;

/** Keeps the trail of the log [A4]. */
@Controller()
@UseFilters(HandlerErrors)
export class TrailController {
  constructor(private readonly trail: Trail) {}

  @LogConsumer(AUDIT, { lingerMs: LINGER_MS })
  async keep(@Payload() batch: LogBatch, @Ctx() { transaction }: BatchContext): Promise<void> {
    await this.trail.append(transaction, batch);
  }
}
