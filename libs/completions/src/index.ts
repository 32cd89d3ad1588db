export { Cancellation } from './turn/cancellation.js';
export { CompletionsModule } from './completions.module.js';
export { TurnStreams } from './http/turn-streams.js';
export { CompletionsOptions } from './completions-options.js';
