export { SessionsModule } from './sessions.module.js';
export { SessionsOptions } from './sessions-options.js';
