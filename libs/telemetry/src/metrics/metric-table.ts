/** What one metric is: all that a dashboard, an alert rule or a reader of the docs must know. */
interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Each has few values: never an id, a principal, an agent or a text that somebody wrote. */
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

/** In seconds: what answers at once, up to what takes minutes. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const SHORT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const TURNS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

const counter = <const L extends readonly string[]>(help: string, labels: L) => {
  return { type: 'counter', help, labels } as const;
};
const gauge = <const L extends readonly string[]>(help: string, labels: L) => {
  return { type: 'gauge', help, labels } as const;
};
const histogram = <const L extends readonly string[]>(
  help: string,
  labels: L,
  buckets: readonly number[],
) => ({ type: 'histogram', help, labels, buckets }) as const;

/** Every metric that a process of ours may show; each process shows those of its services. */
export const METRICS = {
  sbp_http_requests_total: counter('HTTP requests that were answered or broke off.', [
    'route',
    'method',
    'status',
  ]),
  sbp_http_request_duration_seconds: histogram(
    'From a request’s head to the end of its answer; a stream lasts as long as it streams.',
    ['route'],
    SECONDS,
  ),
  sbp_http_requests_in_flight: gauge('HTTP requests that are being answered.', []),
  sbp_ready: gauge('1 while /health/ready says 200, else 0.', []),

  sbp_turns_total: counter('Runs of turns that have ended in this process.', ['status', 'entry']),
  sbp_turns_running: gauge('Turns that run in this process.', []),
  sbp_turn_duration_seconds: histogram(
    'From a request’s arrival to its turn’s end, waiting included.',
    ['entry'],
    SECONDS,
  ),
  sbp_turn_first_token_seconds: histogram(
    'From the first call of the model to its first text; of turns that completed.',
    [],
    SECONDS,
  ),
  sbp_turn_model_seconds: histogram('What the model took of a turn, all rounds.', [], SECONDS),
  sbp_turn_queue_wait_seconds: histogram(
    'From a request’s arrival to its turn’s start; of turns that waited in their queue.',
    [],
    SECONDS,
  ),
  sbp_tokens_total: counter('Tokens that models used, as they report or else as estimated.', [
    'kind',
    'model',
  ]),
  sbp_cost_usd_total: counter('What turns cost by the price list, in US dollars.', ['model']),
  sbp_adoptions_total: counter('Turns of dead processes that went on here.', []),
  sbp_tool_calls_total: counter('Calls of surface tools whose outcome a turn here read.', [
    'outcome',
  ]),

  sbp_surface_sockets: gauge('WebSockets of surfaces that are open here.', []),
  sbp_surfaces_attached: gauge('Surfaces that are attached here.', []),
  sbp_surface_attaches_total: counter('Attaches of surfaces that came into the log.', []),
  sbp_tether_depth_turns: histogram('Turns that a surface was owed when it attached.', [], TURNS),
  sbp_tether_turns_total: counter('Turns that surfaces were drained.', []),
  sbp_surface_takeovers_total: counter('Surfaces here that another one took over from.', []),
  sbp_surface_ignored_frames_total: counter(
    'Frames of a known type with bad fields, which were ignored.',
    [],
  ),

  sbp_log_append_duration_seconds: histogram(
    'From an append to its acknowledgement.',
    [],
    SHORT_SECONDS,
  ),
  sbp_log_append_failures_total: counter('Appends that the log did not take.', ['reason']),
  sbp_log_outage: gauge('1 while a part of the log takes no appends of this process.', []),

  sbp_folded_records_total: counter('Records of the log that were folded here.', []),
  sbp_consumer_lag_records: gauge(
    'Records of a partition that a consumer of the log has not read yet.',
    ['consumer', 'partition'],
  ),
  sbp_consumer_lag_seconds: gauge(
    'At least so long the oldest of them has been waiting, as seen by scrapes.',
    ['consumer', 'partition'],
  ),
  sbp_sessions_quarantined: gauge('Sessions that are not folded further.', []),
  sbp_sessions_waiting: gauge(
    'Sessions in which nothing runs and a turn waits; at most 1000 are counted.',
    [],
  ),

  process_cpu_seconds_total: counter('CPU time of this process, user and system.', []),
  process_resident_memory_bytes: gauge('Memory that this process has resident.', []),
  process_start_time_seconds: gauge('When this process started, in s since 1970.', []),
  nodejs_heap_used_bytes: gauge('Heap of JavaScript in use.', []),
  nodejs_eventloop_delay_seconds: gauge(
    'How late the event loop was since the last scrape: median, 99th percentile, most.',
    ['quantile'],
  ),
} as const satisfies Readonly<Record<string, MetricSpec>>;

export type MetricName = keyof typeof METRICS;

type NamesOf<T extends MetricSpec['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];

export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;
export type LabelOf<N extends MetricName> = (typeof METRICS)[N]['labels'][number];
