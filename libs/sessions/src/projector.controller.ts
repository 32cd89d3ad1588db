import { Controller, Logger, UseFilters } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import type { LogBatch } from '#libs/event-log';
import { BatchContext, HandlerErrors, LogConsumer } from '#libs/event-log';
import { Mailbox } from '#libs/mailbox';
import type { LogEvent } from '#libs/protocol';
import type { NewlyQuarantined } from '#libs/store';
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
  private readonly logger = new Logger('Projector');

  constructor(
    private readonly projection: Projection,
    private readonly mailbox: Mailbox,
    private readonly metrics: ProjectionMetrics,
    private readonly tracing: Tracing,
  ) {}

  @LogConsumer(PROJECTOR)
  async project(@Payload() batch: LogBatch, @Ctx() context: BatchContext): Promise<void> {
    const { partition, records } = batch;
    const events = records.flatMap(({ event }) => (event === null ? [] : [event]));
    const spans = this.tracing.isOn && batch.live ? this.foldsOf(events) : [];
    const { pokes, quarantined } = await this.projection.apply(
      context.transaction,
      partition,
      records,
    );
    context.afterCommit(() => {
      this.metrics.folded(records.length);
      for (const span of spans) span.end();
      quarantined.forEach((session) => this.alarm(session));
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

  /** Once for each session; ids and the reason, and nothing of what people or models wrote. */
  private alarm(session: NewlyQuarantined): void {
    const { sessionId, partition, offset, reason, detail } = session;
    this.logger.error(
      `session ${sessionId} is quarantined: the record at offset ${offset} of partition ` +
        `${partition} cannot be folded (${reason}: ${detail}); see sbp-server quarantine`,
    );
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
