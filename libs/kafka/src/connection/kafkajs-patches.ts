import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';

let patched = false;

/**
 * Repairs kafkajs 2.2.4, once per process: each answer armed a timer, with a negative delay on a
 * connection that is not throttled: a 1 ms loop, and on newer versions of Node a warning each time.
 */
export function patchKafkajs(): void {
  if (patched) return;
  patched = true;
  const name = 'scheduleCheckPendingRequests';
  const schedule = Object.getOwnPropertyDescriptor(RequestQueue.prototype, name)?.value as (
    this: RequestQueue,
  ) => void;
  RequestQueue.prototype[name] = function (this: RequestQueue) {
    if (this.pending.length === 0 && this.throttledUntil <= Date.now()) return;
    schedule.call(this);
  };
}
