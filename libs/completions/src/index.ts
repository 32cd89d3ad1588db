export { CompletionsModule } from './completions.module.js';
export { CompletionsOptions } from './completions-options.js';
