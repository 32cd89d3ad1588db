import type { RawRecord } from '../ports/event-log.js';

/** A record of the embedded log as bytes; made when they are asked for, which few readers do. */
export class StoredBytes implements RawRecord {
  constructor(
    private readonly sessionId: string,
    private readonly body: string,
  ) {}

  get key(): Uint8Array {
    return Buffer.from(this.sessionId, 'utf8');
  }

  get value(): Uint8Array {
    return Buffer.from(this.body, 'utf8');
  }
}
