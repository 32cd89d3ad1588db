/** The value of a label for every name beyond the bound. */
const OTHER = 'other';

/** Longer names are no models that anybody runs. */
const LONGEST = 100;

/** Names that become values of a label: the first ones as they are, then all are `other`. */
export class BoundedNames {
  private readonly known = new Set<string>();

  constructor(private readonly most: number) {}

  labelOf(name: string): string {
    if (this.known.has(name)) return name;
    if (this.known.size >= this.most || name.length > LONGEST) return OTHER;
    this.known.add(name);
    return name;
  }
}
