import type { Socket } from 'node:net';

/** How a process reaches its Kafka cluster. */
export interface KafkaOptions {
  /** `host:port` of some brokers; the rest is learned from them. */
  readonly brokers: readonly string[];
  /** Names the process in the brokers' logs. */
  readonly clientId: string;
  /**
   * How long, in ms, a request may stay without an answer before it is tried again; 10,000 by
   * default.
   */
  readonly requestTimeoutMs?: number;
  /** Opens a TCP connection to a broker; tests lead it through a proxy. */
  readonly connect?: (address: { readonly host: string; readonly port: number }) => Socket;
  /** Told of what an operator should see; the same words at most once in 5 s. */
  onProblem(problem: string, error?: unknown): void;
}

export const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;
