import type { Close } from '#libs/protocol';
import { CLOSE, LIMITS } from '#libs/protocol';
import type { IncomingFrame } from './client-frames.js';
import { fullBucket, take } from './token-bucket.js';

/**
 * The frames of one client that wait until they may be handled, in order. It bounds how many may
 * wait, and how many may come in a time.
 */
export class FrameQueue {
  private frames: IncomingFrame[] = [];
  private bytes = 0;
  private frameBucket = fullBucket(LIMITS.frameRate, performance.now());
  private byteBucket = fullBucket(LIMITS.frameByteRate, performance.now());

  /**
   * Takes a frame in; `mostBytes` may wait. Returns how the connection must be closed instead where
   * that is too much.
   */
  push(frame: IncomingFrame, mostBytes: number): Close | null {
    const excess = this.spend(frame.bytes);
    if (excess !== null) return excess;
    this.frames.push(frame);
    this.bytes += frame.bytes;
    const isFull = this.frames.length > LIMITS.waitingFrames || this.bytes > mostBytes;
    return isFull ? CLOSE.TOO_BIG : null;
  }

  /** A ping or pong of the WebSocket itself: nothing waits, but it costs as a frame does. */
  spend(bytes: number): Close | null {
    const now = performance.now();
    const frames = take(this.frameBucket, LIMITS.frameRate, 1, now);
    const all = take(this.byteBucket, LIMITS.frameByteRate, bytes, now);
    if (frames === null || all === null) return CLOSE.OVERLOADED;
    this.frameBucket = frames;
    this.byteBucket = all;
    return null;
  }

  shift(): IncomingFrame | null {
    const frame = this.frames.shift() ?? null;
    this.bytes -= frame?.bytes ?? 0;
    return frame;
  }

  clear(): void {
    this.frames = [];
    this.bytes = 0;
  }
}
