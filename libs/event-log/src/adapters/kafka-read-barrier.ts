import type { SendOutcome } from '#libs/kafka';
import { LogOverloaded, MAX_PENDING_BYTES } from '../ports/event-log.js';

interface Held {
  reads: number;
  heldBytes: number;
  readonly sends: (() => void)[];
}

/**
 * A read ends where its partition ended when it was called, so appends that are made after it are
 * sent when that end is known, one round trip later.
 */
export class KafkaReadBarrier {
  private readonly byPartition = new Map<number, Held>();
  private heldBytes = 0;

  /** A read of the partition begins; what comes back is called once, when its end is known. */
  raise(partition: number): () => void {
    const held = this.byPartition.get(partition) ?? { reads: 0, heldBytes: 0, sends: [] };
    this.byPartition.set(partition, held);
    held.reads += 1;
    return () => {
      held.reads -= 1;
      if (held.reads > 0) return;
      this.byPartition.delete(partition);
      this.heldBytes -= held.heldBytes;
      for (const send of held.sends) send();
    };
  }

  /** Rejects with `LogOverloaded` when too much is held back already. */
  behind(partition: number, bytes: number, send: () => Promise<SendOutcome>): Promise<SendOutcome> {
    const held = this.byPartition.get(partition);
    if (held === undefined) return send();
    if (this.heldBytes + bytes > MAX_PENDING_BYTES) return Promise.reject(overloaded());
    held.heldBytes += bytes;
    this.heldBytes += bytes;
    return new Promise((resolve) => held.sends.push(() => resolve(send())));
  }
}

export function overloaded(): LogOverloaded {
  return new LogOverloaded(`more than ${MAX_PENDING_BYTES} bytes wait to be appended`);
}
