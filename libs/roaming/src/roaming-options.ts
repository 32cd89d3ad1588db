/** What the roaming service must know of its installation. */
export abstract class RoamingOptions {
  /** How other servers reach this one; known once it listens. */
  abstract readonly publicUrl: () => string;
}
