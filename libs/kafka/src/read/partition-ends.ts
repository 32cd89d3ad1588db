import { ClusterClient } from './cluster-client.js';
import type { KafkaOptions } from '../connection/options.js';
import { within } from '../waiting.js';

type Ends = ReadonlyMap<number, number>;

/**
 * Asks for the ends of a topic's partitions; all who ask while a request is under way share the
 * next one.
 */
export class PartitionEnds {
  private client: ClusterClient | null = null;
  private running: Promise<Ends> | null = null;
  /**
   * A request that has begun may have been answered before its caller's record was written, so a
   * later caller never shares it.
   */
  private next: Promise<Ends> | null = null;

  constructor(
    private readonly options: KafkaOptions,
    private readonly topic: string,
    private readonly timeoutMs: number,
  ) {}

  /**
   * The offset after the partition's last record that is durable now. Rejects when the cluster does
   * not answer.
   */
  async of(partition: number): Promise<number> {
    const ends = await this.request();
    const end = ends.get(partition);
    if (end === undefined) throw new Error(`${this.topic} has no partition ${partition}`);
    return end;
  }

  async close(): Promise<void> {
    await this.client?.close();
    this.client = null;
  }

  private request(): Promise<Ends> {
    if (this.running === null) return this.begin();
    this.next ??= this.running.then(
      () => this.begin(),
      () => this.begin(),
    );
    return this.next;
  }

  private begin(): Promise<Ends> {
    this.next = null;
    const request = this.ask().finally(() => {
      if (this.running === request) this.running = null;
    });
    this.running = request;
    return request;
  }

  /** A second try on a new client, since the first may have been lost with an idle connection. */
  private async ask(): Promise<Ends> {
    try {
      return await this.once();
    } catch {
      return await this.once();
    }
  }

  private async once(): Promise<Ends> {
    const client = (this.client ??= new ClusterClient(this.options, this.topic));
    try {
      return await within(this.timeoutMs, `asking for the ends of ${this.topic}`, client.ends());
    } catch (error) {
      client.abandon();
      if (this.client === client) this.client = null;
      throw error;
    }
  }
}
