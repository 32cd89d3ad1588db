/** Something that is measured for a while, again and again. */
export interface Contender<T> {
  readonly name: string;
  /** Goes on until `until` says so, and at least once. */
  measure(until: () => boolean): Promise<T>;
}

/**
 * Lets contenders take turns, in another order each round, so that what else the machine does hits
 * all of them alike. A first round, which warms everything up, is left out. Each contender's
 * results, by its name, one per round.
 */
export async function interleaved<T>(
  contenders: readonly Contender<T>[],
  rounds: number,
  slotMs: number,
): Promise<ReadonlyMap<string, readonly T[]>> {
  const results = new Map<string, T[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const end = performance.now() + slotMs;
      const result = await contender.measure(() => performance.now() >= end);
      if (round > 0) results.get(contender.name)?.push(result);
    }
  }
  return results;
}
