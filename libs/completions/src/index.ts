export { CompletionsInbox } from './completions-inbox.js';
export { CompletionsModule } from './completions.module.js';
export { CompletionsOptions } from './completions-options.js';
