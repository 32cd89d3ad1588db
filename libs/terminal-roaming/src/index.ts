export { importSession, lineage, roam } from './roaming-commands.js';
