import { EventPattern } from '@nestjs/microservices';

/**
 * `@EventPattern` of one consumer's name, on a controller's method `(@Payload() LogBatch, @Ctx()
 * BatchContext)`. Nest's own first overload, which the compiler picks for a plain string, refuses a
 * method that says what its context is.
 */
export const LogConsumer: (consumer: string) => MethodDecorator = EventPattern;
