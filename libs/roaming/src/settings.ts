/** What the roaming service must know of its installation. */
export abstract class RoamingSettings {
  /** How other servers reach this one; known once it listens. */
  abstract publicUrl(): string;
}
