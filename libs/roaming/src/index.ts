export { RoamingModule } from './roaming.module.js';
export { RoamingSettings } from './settings.js';
