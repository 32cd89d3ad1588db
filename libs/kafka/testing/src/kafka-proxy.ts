import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** Kafka's numbers of requests. */
export const API = { produce: 0, listOffsets: 2 } as const;

/**
 * What becomes of a broker's answer: `drop` swallows it, `cut` swallows it and ends the connection.
 */
export type AnswerFate = 'pass' | 'drop' | 'cut';

/**
 * Stands between a client and one broker, and decides the fate of each answer. The client's option
 * `connect` leads here, since kafkajs goes to the address that the broker itself tells.
 */
export class KafkaProxy {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  /**
   * Asked for every answer to a produce request, with the partitions that it wrote to; requests
   * always reach the broker.
   */
  produceFate: (partitions: readonly number[]) => AnswerFate = () => 'pass';
  /** The number of each request that came through, in order. */
  readonly requests: number[] = [];
  /** No answer of any kind comes through. */
  frozen = false;

  private constructor(private readonly broker: { readonly host: string; readonly port: number }) {
    this.server = createServer((client) => this.accept(client));
  }

  static async start(broker: string): Promise<KafkaProxy> {
    const [host = '', port] = broker.split(':');
    const proxy = new KafkaProxy({ host, port: Number(port) });
    await new Promise<void>((listening) => proxy.server.listen(0, '127.0.0.1', listening));
    return proxy;
  }

  /** For `KafkaOptions.connect`. */
  readonly connect = (): Socket =>
    connect((this.server.address() as AddressInfo).port, '127.0.0.1');

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  private accept(client: Socket): void {
    const broker = connect(this.broker);
    const produces = new Map<number, readonly number[]>();
    const requests = frames((frame) => {
      const api = frame.readInt16BE(4);
      this.requests.push(api);
      if (api === API.produce) produces.set(frame.readInt32BE(8), partitionsOfProduce(frame));
      broker.write(frame);
    });
    const answers = frames((frame) => {
      const answered = frame.readInt32BE(4);
      const fate = this.fateOf(produces.get(answered) ?? null);
      produces.delete(answered);
      if (fate === 'pass') client.write(frame);
      if (fate === 'cut') client.destroy();
    });
    client.on('data', requests);
    broker.on('data', answers);
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
  }

  private fateOf(produced: readonly number[] | null): AnswerFate {
    if (this.frozen) return 'drop';
    return produced === null ? 'pass' : this.produceFate(produced);
  }
}

/** The partitions that a produce request of version 3 to 8 writes to. */
function partitionsOfProduce(frame: Buffer): number[] {
  let at = 12;
  const int16 = (): number => frame.readInt16BE((at += 2) - 2);
  const int32 = (): number => frame.readInt32BE((at += 4) - 4);
  const skipString = (): void => {
    const length = int16();
    at += Math.max(length, 0);
  };
  skipString(); // the client's id
  skipString(); // the transactional id
  at += 6; // acks and timeout
  const partitions: number[] = [];
  for (let topics = int32(); topics > 0; topics -= 1) {
    skipString();
    for (let count = int32(); count > 0; count -= 1) {
      partitions.push(int32());
      const batchLength = int32();
      at += Math.max(batchLength, 0);
    }
  }
  return partitions;
}

/** Cuts a stream into Kafka's frames, each with the four bytes of its length. */
function frames(onFrame: (frame: Buffer) => void): (data: Buffer) => void {
  let chunks: Buffer[] = [];
  let size = 0;
  let needed = 4;
  return (data) => {
    chunks.push(data);
    size += data.length;
    // Joined only when a frame is complete: a large one comes in many chunks.
    while (size >= needed) {
      const joined = Buffer.concat(chunks);
      const length = 4 + joined.readInt32BE(0);
      if (size >= length) onFrame(joined.subarray(0, length));
      const rest = size >= length ? joined.subarray(length) : joined;
      chunks = [rest];
      size = rest.length;
      needed = size >= 4 ? 4 + rest.readInt32BE(0) : 4;
    }
  };
}
