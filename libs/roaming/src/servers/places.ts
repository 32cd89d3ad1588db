import { within } from '#libs/timing';

export interface PlacesOptions {
  readonly most: number;
  readonly mostWaiting: number;
  /** How long somebody waits, in ms. */
  readonly waitMs: number;
}

/** Lets so many have a place at once; some more wait, in turn, and not for long. */
export class Places {
  private taken = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly options: PlacesOptions) {}

  /** Whether there was a place in time; whoever has one gives it back by `leave`, once. */
  async enter(): Promise<boolean> {
    const { most, mostWaiting, waitMs } = this.options;
    if (this.taken < most) {
      this.taken += 1;
      return true;
    }
    if (this.waiting.length >= mostWaiting) return false;
    const place = Promise.withResolvers<undefined>();
    const give = (): void => place.resolve(undefined);
    this.waiting.push(give);
    if ((await within(place.promise, waitMs)) !== 'late') return true;
    const at = this.waiting.indexOf(give);
    // It was given in the very moment.
    if (at === -1) return true;
    this.waiting.splice(at, 1);
    return false;
  }

  leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.taken -= 1;
    else next();
  }
}
