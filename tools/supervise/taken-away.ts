import type { SupervisedProcess } from './supervised-process.js';

/** Kills processes at once, and starts them again when `meanwhile` has ended. */
export async function takenAway(
  victims: readonly SupervisedProcess[],
  meanwhile: () => Promise<unknown>,
): Promise<void> {
  await Promise.all(victims.map((victim) => victim.stop({ discard: true })));
  await meanwhile();
  await Promise.all(victims.map((victim) => victim.start()));
}
