import { afterEach, beforeEach, vi } from 'vitest';
import type { LogEventType } from '#libs/protocol';
import { TestBackend } from '#libs/testing';
import type { CompletionsSetup } from './test-completions.js';
import { TestCompletions } from './test-completions.js';

/** How long a test waits for what processes do by themselves, in ms: adoptions take seconds. */
const PATIENCE_MS = 30_000;

/** What a test plays on: a backend, and the processes that it starts on it. */
export interface Stage {
  readonly backend: TestBackend;
  start(setup: CompletionsSetup): Promise<TestCompletions>;
  /** As `start`, of a process in which nothing works by itself. */
  assemble(setup: CompletionsSetup): Promise<TestCompletions>;
  /** The types of a session's events so far, or of all. */
  types(sessionId?: string): Promise<readonly LogEventType[]>;
}

/** A stage for each test of the file. */
export function useStage(): Stage {
  let backend: TestBackend;
  const started: TestCompletions[] = [];
  const keep = (completions: TestCompletions): TestCompletions => {
    started.push(completions);
    return completions;
  };
  beforeEach(async () => {
    backend = await TestBackend.open();
  });
  afterEach(async () => {
    backend.log.obstacle = () => Promise.resolve();
    await Promise.all(started.splice(0).map((completions) => completions.stop()));
    await backend.close();
  });
  return {
    get backend() {
      return backend;
    },
    start: async (setup) => keep(await TestCompletions.start(backend, setup)),
    assemble: async (setup) => keep(await TestCompletions.assemble(backend, setup)),
    types: async (sessionId) => (await backend.events(sessionId)).map(({ type }) => type),
  };
}

/** Waits until `check` passes. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: PATIENCE_MS, interval: 20 });
}
