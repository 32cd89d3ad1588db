import { connect, Socket } from 'node:net';
import { Kafka, logLevel } from 'kafkajs';
import type { LogEntry, RetryOptions } from 'kafkajs';
import { patchKafkajs } from './kafkajs-patches.js';
import { DEFAULT_REQUEST_TIMEOUT_MS } from './options.js';
import type { KafkaOptions } from './options.js';

/** For clients whose owner opens a new one when kafkajs gives up. */
export const BOUNDED_RETRY: RetryOptions = {
  initialRetryTime: 100,
  maxRetryTime: 1000,
  retries: 5,
};

/** kafkajs's own default backs off to 30 s, long after an outage has ended. */
export const ENDLESS_RETRY: RetryOptions = { ...BOUNDED_RETRY, retries: Number.MAX_SAFE_INTEGER };

const REPEAT_AFTER_MS = 5000;

/**
 * One kafkajs client that can be thrown away: `abandon` ends its sockets and lets nothing of it
 * reconnect. kafkajs itself has no such end: a send given up by its caller goes on being retried,
 * and would be written behind newer ones.
 */
export class KafkaConnection {
  readonly kafka: Kafka;
  private readonly sockets = new Set<Socket>();
  private readonly told = new Map<string, number>();
  private abandoned = false;

  constructor(
    private readonly options: KafkaOptions,
    retry: RetryOptions,
  ) {
    patchKafkajs();
    this.kafka = new Kafka({
      clientId: options.clientId,
      // What still retries in an abandoned client comes here for its next broker, and waits for
      // ever, without a timer.
      brokers: () =>
        this.abandoned ? new Promise<string[]>(() => undefined) : [...options.brokers],
      connectionTimeout: 3000,
      requestTimeout: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
      enforceRequestTimeout: true,
      retry,
      logLevel: logLevel.WARN,
      logCreator: () => (entry) => this.report(entry),
      socketFactory: ({ host, port, onConnect }) => this.open(host, port, onConnect),
    });
  }

  /** Ends every connection at once; requests without an answer have an unknown outcome. */
  abandon(): void {
    this.abandoned = true;
    // kafkajs hears `error`, but not `close`.
    for (const socket of this.sockets) socket.destroy(new Error('connection abandoned'));
  }

  private open(host: string, port: number, onConnect: () => void): Socket {
    if (this.abandoned) return new Socket().destroy(new Error('connection abandoned'));
    const socket = this.options.connect?.({ host, port }) ?? connect({ host, port });
    socket.once('connect', onConnect);
    socket.setKeepAlive(true, 60_000);
    socket.setNoDelay(true);
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    return socket;
  }

  private report({ namespace, log }: LogEntry): void {
    if (this.abandoned) return;
    const problem = `kafka ${namespace}: ${log.message}`;
    const now = Date.now();
    if (now - (this.told.get(problem) ?? 0) < REPEAT_AFTER_MS) return;
    if (this.told.size > 100) this.told.clear();
    this.told.set(problem, now);
    this.options.onProblem(problem, log['error']);
  }
}
