/** Ids, numbers and words of ours; never what a person or a model wrote. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work in a trace. It is exported once it has ended. */
export interface TraceSpan {
  set(attributes: SpanAttributes): void;
  /** `failed`: whether the work did not come to what it was for. */
  end(failed?: boolean): void;
}

/**
 * Traces of what is done across processes, by the names and forms of OpenTelemetry. Work finds the
 * span that it belongs to by itself: whatever `within` or `span` call or await runs in it. A
 * `traceparent` is W3C's text for a span, by which another process goes on with its trace.
 */
export abstract class Tracing {
  /** Whether spans are made at all; where not, every method only calls what it is given. */
  abstract readonly isOn: boolean;

  /** Runs `work` in a span of what runs now; it has failed where `work` rejects. */
  abstract span<T>(name: string, work: (span: TraceSpan) => Promise<T>): Promise<T>;

  /** A span of what runs now; with `parent`, a traceparent, of that where it is one. */
  abstract begin(name: string, parent?: string): TraceSpan;

  /** What `work` calls or awaits belongs to `span`. */
  abstract within<T>(span: TraceSpan, work: () => T): T;

  /** Of what runs now; null outside of any span, and where its trace is not kept. */
  abstract traceparent(): string | null;

  /** Sends what has ended; resolves also where nobody takes it. */
  abstract close(): Promise<void>;
}

/** A span that is not kept. */
export const NO_SPAN: TraceSpan = { set: () => undefined, end: () => undefined };

class NoTracing extends Tracing {
  override readonly isOn = false;

  override span<T>(_name: string, work: (span: TraceSpan) => Promise<T>): Promise<T> {
    return work(NO_SPAN);
  }

  override begin(): TraceSpan {
    return NO_SPAN;
  }

  override within<T>(_span: TraceSpan, work: () => T): T {
    return work();
  }

  override traceparent(): null {
    return null;
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Where nobody collects traces. */
export const NO_TRACING: Tracing = new NoTracing();
