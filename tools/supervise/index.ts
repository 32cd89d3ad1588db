export { guardFolder } from './guard.js';
export { listeningLine } from './listening-line.js';
export { endLeftover, readPidFile, removePidFile, writePidFile } from './pid-file.js';
export { SupervisedProcess } from './supervised-process.js';
export { takenAway } from './taken-away.js';
export type { Launch, ProcessExit, ProcessSpec, StartedProcess } from './supervised-process.js';
