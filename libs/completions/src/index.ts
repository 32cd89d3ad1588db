export { Cancellation } from './turn/cancellation.js';
export { CompletionsModule } from './completions.module.js';
export { CompletionsOptions } from './completions-options.js';
