export { PROJECTOR } from './projector.controller.js';
export { SessionsModule } from './sessions.module.js';
export { SessionsReporter, SessionsSettings } from './settings.js';
