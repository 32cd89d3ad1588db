/**
 * A setting or option that cannot be used. The message begins with the name under which the user
 * gave it.
 */
export class InvalidSetting extends Error {
  override readonly name = 'InvalidSetting';

  constructor(
    readonly field: string,
    readonly problem: string,
  ) {
    super(`${field}: ${problem}`);
  }
}
