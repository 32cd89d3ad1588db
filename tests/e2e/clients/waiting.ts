import { vi } from 'vitest';

/** Waits until `check` passes: for what becomes true without telling. */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 30_000, interval: 50 });
}

/** Wakes those who wait for what arrives piece by piece. */
export class Arrivals {
  private changed = Promise.withResolvers<undefined>();

  /** Something has come. */
  wake(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers<undefined>();
  }

  /**
   * Resolves with what `look` finds, as soon as it is not undefined; `look` throws where nothing
   * can come any more.
   */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const changed = this.changed.promise;
      const found = look();
      if (found !== undefined) return found;
      await changed;
    }
  }
}
