import { backOff, deadline } from '#libs/timing';
import { ClusterClient } from './cluster-client.js';
import type { PartitionOffsets } from './cluster-client.js';
import type { KafkaOptions } from '../connection/options.js';

/**
 * How long, in ms, a partition may be without a leader before its readers are told: brokers take
 * 9 s by default to notice that one of them has died.
 */
const ELECTION_MS = 10_000;

type Ends = ReadonlyMap<number, number>;

/**
 * Asks for the ends of a topic's partitions. All who ask in one turn share a request, and all who
 * ask while one is under way share the next: an answer always belongs to a request that was sent
 * after its readers had asked [A5].
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
   * The offset after the partition's last record that is durable now. Waits for a leader that is
   * being elected; rejects when the partition gets none that answers, and when the cluster does not
   * answer.
   */
  async of(partition: number): Promise<number> {
    const until = performance.now() + ELECTION_MS;
    for (let tries = 1; ; tries += 1) {
      const end = (await this.all()).get(partition);
      if (end !== undefined) return end;
      if (performance.now() > until)
        throw new Error(`partition ${partition} of ${this.topic} has no leader that answers`);
      await backOff(tries);
    }
  }

  /** The ends of all partitions whose leaders answer. Rejects when the cluster does not. */
  all(): Promise<Ends> {
    this.next ??= this.begin();
    return this.next;
  }

  async close(): Promise<void> {
    await this.client?.close();
    this.client = null;
  }

  /** Waits for the request under way, and else for the end of this turn. */
  private async begin(): Promise<Ends> {
    await this.running?.catch(() => undefined);
    this.running = this.next;
    this.next = null;
    return await this.ask();
  }

  /** A second try on a new client, since the first may have been lost with an idle connection. */
  private async ask(): Promise<Ends> {
    const first = await this.once().catch(() => null);
    if (first?.complete === true) return first.ends;
    const second = await this.once().catch((error: unknown) => {
      if (first === null) throw error;
      return first;
    });
    return second.ends;
  }

  private async once(): Promise<PartitionOffsets> {
    const client = (this.client ??= new ClusterClient(this.options, this.topic));
    try {
      const asked = deadline(`asking for the ends of ${this.topic}`, client.ends(), this.timeoutMs);
      const answer = await asked;
      if (!answer.complete) this.abandon(client);
      return answer;
    } catch (error) {
      this.abandon(client);
      throw error;
    }
  }

  private abandon(client: ClusterClient): void {
    client.abandon();
    if (this.client === client) this.client = null;
  }
}
