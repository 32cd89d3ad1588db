/*
 * Searches in lists of keys. All are linear (the prefix function of Knuth, Morris and Pratt),
 * because a client chooses how long and how repetitive the lists are.
 */

/** Matches a pattern against keys that come one after the other. */
class Matcher {
  private readonly borders: number[] = [0];
  /** How many keys of the pattern's beginning the last keys are. */
  matched = 0;

  constructor(private readonly pattern: readonly string[]) {
    for (let index = 1; index < pattern.length; index++) {
      this.borders.push(this.extended(this.borders[index - 1] ?? 0, pattern[index]));
    }
  }

  next(key: string): void {
    this.matched = this.extended(this.matched, key);
  }

  private extended(length: number, key: string | undefined): number {
    const { pattern, borders } = this;
    let matched = length === pattern.length ? (borders[length - 1] ?? 0) : length;
    while (matched > 0 && pattern[matched] !== key) matched = borders[matched - 1] ?? 0;
    return pattern[matched] === key ? matched + 1 : 0;
  }
}

/** The length of the longest end of `stored` that `incoming` begins with. */
export function longestOverlap(stored: readonly string[], incoming: readonly string[]): number {
  const matcher = new Matcher(incoming);
  for (const key of stored) matcher.next(key);
  return matcher.matched;
}

/**
 * Whether `run`, which is not empty, stands somewhere in what is given from its end. It takes no
 * more keys than it needs.
 */
export function standsIn(fromEnd: Iterable<string>, run: readonly string[]): boolean {
  const matcher = new Matcher(run.toReversed());
  for (const key of fromEnd) {
    matcher.next(key);
    if (matcher.matched === run.length) return true;
  }
  return false;
}
