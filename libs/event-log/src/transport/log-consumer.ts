import { EventPattern } from '@nestjs/microservices';
import type { LogReader } from '../ports/event-log.js';

/** How a consumer reads, as `LogReader` says it. */
export type ConsumerOptions = Pick<LogReader, 'lingerMs'>;

/**
 * `@EventPattern` of one consumer's name, on a controller's method `(@Payload() LogBatch, @Ctx()
 * BatchContext)`. Nest's own first overload, which the compiler picks for a plain string, refuses a
 * method that says what its context is.
 */
export const LogConsumer: (consumer: string, options?: ConsumerOptions) => MethodDecorator =
  EventPattern;
