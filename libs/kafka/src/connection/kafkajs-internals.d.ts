/**
 * A part of kafkajs that it does not export; `kafkajs-patches.ts` repairs it. Checked against
 * 2.2.4.
 */
declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    readonly throttledUntil: number;
    scheduleCheckPendingRequests(): void;
  }
}
