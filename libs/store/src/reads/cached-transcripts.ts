import type { Transcript } from './transcript.js';

/** What is kept of conversations by default, in bytes of their JSON. */
const CACHE_BYTES = 32 * 1024 * 1024;

/** The conversations that were read last, bounded in bytes; the one read longest ago goes first. */
export class CachedTranscripts {
  private readonly kept = new Map<string, Transcript>();
  private bytes = 0;

  constructor(private readonly limit = CACHE_BYTES) {}

  get(sessionId: string): Transcript | null {
    const transcript = this.kept.get(sessionId);
    if (transcript === undefined) return null;
    this.kept.delete(sessionId);
    this.kept.set(sessionId, transcript);
    return transcript;
  }

  /** Keeps it, unless what is kept already is newer. */
  set(sessionId: string, transcript: Transcript): void {
    const earlier = this.kept.get(sessionId);
    if (earlier !== undefined && earlier.turns > transcript.turns) return;
    this.drop(sessionId);
    if (transcript.bytes > this.limit) return;
    this.kept.set(sessionId, transcript);
    this.bytes += transcript.bytes;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= this.limit) return;
      this.drop(oldest);
    }
  }

  private drop(sessionId: string): void {
    this.bytes -= this.kept.get(sessionId)?.bytes ?? 0;
    this.kept.delete(sessionId);
  }
}
