import { Controller, UseFilters } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import type { LogBatch } from '#libs/event-log';
import { BatchContext, HandlerErrors, LogConsumer } from '#libs/event-log';
import { Mailbox } from '#libs/mailbox';
import type { LogEvent } from '#libs/protocol';
import { PROJECTOR, Projection } from '#libs/store';
import type { TraceSpan } from '#libs/telemetry';
import { ProjectionMetrics, Tracing } from '#libs/telemetry';

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
    private readonly metrics: ProjectionMetrics,
    private readonly tracing: Tracing,
  ) {}

  @LogConsumer(PROJECTOR)
  async project(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
    const events = batch.records.flatMap(({ event }) => (event === null ? [] : [event]));
    const spans = this.tracing.isOn && batch.live ? this.foldsOf(events) : [];
    const pokes = await this.projection.apply(context.transaction, batch.partition, events);
    context.afterCommit(() => {
      this.metrics.folded(batch.records.length);
      for (const span of spans) span.end();
    });
    // While replaying nobody waits for what is old.
    if (!batch.live) return;
    context.afterCommit(() => {
      for (const { sessionId, process } of pokes) {
        // Not awaited: a poke that is lost costs one sweep [A8].
        void this.mailbox.send(process, { type: 'poke', session_id: sessionId });
      }
    });
  }

  /** Each event's fold belongs to the trace of whoever wrote it. */
  private foldsOf(events: readonly LogEvent[]): readonly TraceSpan[] {
    return events.flatMap(({ trace, type, session_id }) => {
      if (trace === undefined) return [];
      const span = this.tracing.begin(`fold ${type}`, trace);
      span.set({ 'sbp.session_id': session_id });
      return [span];
    });
  }
}
