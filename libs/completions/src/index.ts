export { CompletionsModule } from './completions.module.js';
export { LiveTurns } from './live-turns.js';
export { CompletionsReporter, CompletionsSettings } from './settings.js';
