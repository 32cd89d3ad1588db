export { argumentProblem, noSuchTool, toldSchema } from './argument-check.js';
export { AttachedTools } from './attached-tools.js';
export type { ToolSurface } from './attached-tools.js';
export { CallWatch } from './call-watch.js';
export { SessionPokes } from './session-pokes.js';
