export { RoamingModule } from './roaming.module.js';
export { RoamingOptions } from './roaming-options.js';
