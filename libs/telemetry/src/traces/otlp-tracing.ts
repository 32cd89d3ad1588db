import { AsyncLocalStorage } from 'node:async_hooks';
import type { Context, Span, SpanContext, SpanStatusCode, Tracer } from '@opentelemetry/api';
import type { TracerProvider } from '@opentelemetry/sdk-trace';
import { parseTraceparent, traceparentOf } from './traceparent.js';
import type { SpanAttributes, TraceSpan } from './tracing.js';
import { NO_SPAN, Tracing } from './tracing.js';

export interface TracingOptions {
  /** Of a collector that speaks OTLP over HTTP, without `/v1/traces`. */
  readonly url: string;
  /** Of this process: what it is called in traces. */
  readonly service: string;
  /** Of 100 traces that begin here, how many are kept. */
  readonly percent: number;
}

/** What waits for the collector: more is dropped, so that its absence costs nothing. */
const QUEUE = { maxQueueSize: 4_096, maxExportBatchSize: 512, scheduledDelayMillis: 1_000 };
/** How long a batch may take to be sent, in ms; then it is dropped. */
const EXPORT_MS = 5_000;

/** The flag of a trace that is kept, as W3C has it. */
const SAMPLED = 1;

type OpenTelemetry = Pick<
  typeof import('@opentelemetry/api'),
  'ROOT_CONTEXT' | 'SpanStatusCode' | 'trace'
>;

/** Traces that are sent to a collector. The packages for it are loaded only now. */
export async function openTracing({ url, service, percent }: TracingOptions): Promise<Tracing> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const exporter = new OTLPTraceExporter({
    url: `${url}/v1/traces`,
    timeoutMillis: EXPORT_MS,
    concurrencyLimit: 2,
  });
  const root = new sdk.TraceIdRatioBasedSampler(percent / 100);
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': `statebridge-${service}`,
      'process.pid': process.pid,
    }),
    sampler: new sdk.ParentBasedSampler({ root }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({ exporter, exportTimeoutMillis: EXPORT_MS, ...QUEUE }),
    ],
  });
  return new OtlpTracing(api, provider);
}

class OtlpSpan implements TraceSpan {
  constructor(
    readonly span: Span,
    private readonly error: SpanStatusCode,
  ) {}

  set(attributes: SpanAttributes): void {
    this.span.setAttributes(attributes);
  }

  end(failed = false): void {
    if (failed) this.span.setStatus({ code: this.error });
    this.span.end();
  }
}

/** Nothing of it is global, so that several servers in one process do not meet. */
class OtlpTracing extends Tracing {
  override readonly isOn = true;
  private readonly active = new AsyncLocalStorage<Context>();
  private readonly tracer: Tracer;

  constructor(
    private readonly api: OpenTelemetry,
    private readonly provider: TracerProvider,
  ) {
    super();
    this.tracer = provider.getTracer('statebridge');
  }

  override async span<T>(name: string, work: (span: TraceSpan) => Promise<T>): Promise<T> {
    const span = this.begin(name);
    try {
      const value = await this.within(span, () => work(span));
      span.end();
      return value;
    } catch (error) {
      // Its message may hold what somebody wrote.
      if (error instanceof Error) span.set({ 'error.type': error.name });
      span.end(true);
      throw error;
    }
  }

  override begin(name: string, parent?: string): TraceSpan {
    const { ROOT_CONTEXT, SpanStatusCode, trace } = this.api;
    const remote = parent === undefined ? null : parseTraceparent(parent);
    const active = this.active.getStore();
    // Whatever belongs to a trace that is not kept costs no more than this.
    if (remote === null && active !== undefined && this.sampled(active) === null) return NO_SPAN;
    const context =
      remote === null
        ? (active ?? ROOT_CONTEXT)
        : trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true });
    return new OtlpSpan(this.tracer.startSpan(name, {}, context), SpanStatusCode.ERROR);
  }

  override within<T>(span: TraceSpan, work: () => T): T {
    if (!(span instanceof OtlpSpan)) return work();
    const { ROOT_CONTEXT, trace } = this.api;
    return this.active.run(trace.setSpan(ROOT_CONTEXT, span.span), work);
  }

  override traceparent(): string | null {
    const context = this.active.getStore();
    const span = context === undefined ? null : this.sampled(context);
    return span === null ? null : traceparentOf(span);
  }

  /** The span of a context, where its trace is kept. */
  private sampled(context: Context): SpanContext | null {
    const span = this.api.trace.getSpanContext(context);
    return span !== undefined && (span.traceFlags & SAMPLED) !== 0 ? span : null;
  }

  override async close(): Promise<void> {
    await this.provider.shutdown().catch(() => undefined);
  }
}
