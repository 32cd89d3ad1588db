/** The children of a metric, bound to values of its labels when they are first met. */
export class Children<C> {
  private readonly bound = new Map<string, C>();

  /** @param bind makes a child of these values, in the order of the metric's labels */
  constructor(private readonly bind: (...values: string[]) => C) {}

  of(...values: readonly string[]): C {
    const key = values.join(' ');
    const known = this.bound.get(key);
    if (known !== undefined) return known;
    const child = this.bind(...values);
    this.bound.set(key, child);
    return child;
  }
}
