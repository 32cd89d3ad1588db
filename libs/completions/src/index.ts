export { CompletionsModule } from './completions.module.js';
export { LiveTurns } from './live-turns.js';
export { CompletionsOptions } from './completions-options.js';
