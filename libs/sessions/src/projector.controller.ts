import { Controller, UseFilters } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import type { LogBatch } from '#libs/event-log';
import { BatchContext, HandlerErrors, LogConsumer } from '#libs/event-log';
import { Mailbox } from '#libs/mailbox';
import { PROJECTOR, Projection } from '#libs/store';

/**
 * Folds the log into the read models [A4], and pokes the processes that have something new
 * to see [A8].
 */
@Controller()
@UseFilters(HandlerErrors)
export class ProjectorController {
  constructor(
    private readonly projection: Projection,
    private readonly mailbox: Mailbox,
  ) {}

  @LogConsumer(PROJECTOR)
  async project(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
    const events = batch.records.flatMap(({ event }) => (event === null ? [] : [event]));
    const pokes = await this.projection.apply(context.transaction, batch.partition, events);
    // While replaying nobody waits for what is old.
    if (!batch.live) return;
    context.afterCommit(() => {
      for (const { sessionId, process } of pokes) {
        // Not awaited: a poke that is lost costs one sweep [A8].
        void this.mailbox.send(process, { type: 'poke', session_id: sessionId });
      }
    });
  }
}
