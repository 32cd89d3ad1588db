export type { ExistingInfrastructure } from './infrastructure.js';
export { builtEntry } from './options.js';
export type { PerKind, StackOptions } from './options.js';
export type { ServiceProcess } from './service-process.js';
export { startStack } from './stack.js';
export type { Stack } from './stack.js';
export type { StackEntry } from './stack-file.js';
