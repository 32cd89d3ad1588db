/** What the roaming service must know of its installation. */
export abstract class RoamingOptions {
  /** How other servers reach this one; known once it listens. */
  abstract readonly publicUrl: () => string;
  /** Bytes of a bundle that another server sends. */
  abstract readonly maxBundleBytes: number;
  /** Embedded: the file lock proves that every other process is dead. */
  abstract readonly othersDead: boolean;
  /** Told of faults that no caller can be told of. */
  abstract readonly onProblem: (what: string, error: unknown) => void;
}
