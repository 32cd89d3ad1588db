export { LiveTurn, LiveTurns } from './live-turns.js';
export { attemptId, completion } from './attempt.js';
export type { EndedTurn, ShownAttempt } from './attempt.js';
export { FollowedTurn } from './followed-turn.js';
export { AttemptPlace } from './attempt-place.js';
