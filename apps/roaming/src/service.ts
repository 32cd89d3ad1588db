import { RoamingModule } from '#libs/roaming';
import type { ServiceSpec } from '#libs/runtime';

/** Roaming: exports sessions as signed tokens. */
export function roamingService(): ServiceSpec {
  return {
    name: 'roaming',
    present: false,
    reads: false,
    modules: (_components, publicUrl) => [RoamingModule.register({ publicUrl })],
  };
}
