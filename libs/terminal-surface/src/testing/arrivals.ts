/** What comes one after the other, for tests that wait for the next of it. */
export class Arrivals<T> {
  private readonly arrived: T[] = [];
  private readonly waiting: ((value: T) => void)[] = [];

  push(value: T): void {
    const next = this.waiting.shift();
    if (next === undefined) this.arrived.push(value);
    else next(value);
  }

  next(): Promise<T> {
    const value = this.arrived.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
