/** Where a surface dies: when it is told of a call, or when it has sent its result. */
export const DEATHS = ['call', 'result'] as const;
export type DeathOfSurface = (typeof DEATHS)[number];

/** A device with a counter for a tool, that comes back as one surface after another. */
export class Device {
  /** The calls by which its counter rose, in their order. */
  readonly counted: string[] = [];

  /**
   * What the counter was raised to by a call. It rises once: a surface that is told of a call again
   * knows it by its id.
   */
  count(callId: string): number {
    const at = this.counted.indexOf(callId);
    return at === -1 ? this.counted.push(callId) : at + 1;
  }
}
