export { RoamingModule } from './roaming.module.js';
export { RoamingOptions } from './roaming-options.js';
export { BUNDLES_AT_ONCE } from './servers/remote-bundles.js';
