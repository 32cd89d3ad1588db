import { expect } from 'vitest';
import { Failure } from './bodies.js';
import type { Answer } from './agent.js';
import { Agent, steered } from './agent.js';
import type { CompletionStream } from './completion-stream.js';
import type { SessionKey } from './surface.js';

/** How the call of a turn ended: with its answer, or told that the turn goes on without it. */
export type Ending = 'answered' | 'told';

const WORDS = 20;
const SAID = 'Take your time.';
/** How long a turn that was handed over may take to be answered in its session, in ms. */
const ANSWER_MS = 60_000;

/**
 * The first turn of a new agent, of a chosen length. Its caller never asks twice, and accepts two
 * endings: the answer, or a word that the turn goes on and must not be asked for again.
 */
export class LastingTurn {
  private constructor(
    private readonly agent: Agent,
    private readonly call:
      | { readonly type: 'stream'; readonly opened: Promise<CompletionStream> }
      | { readonly type: 'plain'; readonly answer: Promise<Answer> },
  ) {}

  static stream(url: string, ms: number): LastingTurn {
    const agent = new Agent(url);
    return new LastingTurn(agent, { type: 'stream', opened: agent.stream(lasting(ms)) });
  }

  static plain(url: string, ms: number): LastingTurn {
    const agent = new Agent(url);
    const messages = [{ role: 'user', content: lasting(ms) }];
    const answer = agent.post({ model: 'gpt-4o', messages, sbp: {} });
    return new LastingTurn(agent, { type: 'plain', answer });
  }

  /** Resolves when the turn is known to run; of a plain call nothing is known before its end. */
  async begun(): Promise<void> {
    if (this.call.type === 'stream') {
      const stream = await this.call.opened;
      await stream.until(({ events }) => events.length > 0);
    }
  }

  async ended(): Promise<Ending> {
    const { call } = this;
    if (call.type === 'plain') {
      const { status, headers, json } = await call.answer;
      if (status === 200) return 'answered';
      expect([status, headers.get('x-should-retry')]).toEqual([503, 'false']);
      expect(Failure.parse(json).error.code).toBe('SBP_UPSTREAM_UNAVAILABLE');
      return 'told';
    }
    const stream = await call.opened;
    if ((await stream.ended) === 'whole') return 'answered';
    const error = stream.events.find(({ event }) => event === 'error');
    const body = Failure.parse(JSON.parse(error?.data ?? 'null'));
    expect(body.error.code).toBe('SBP_UPSTREAM_UNAVAILABLE');
    return 'told';
  }

  async key(): Promise<SessionKey> {
    const { headers } = await (this.call.type === 'stream' ? this.call.opened : this.call.answer);
    return {
      session_id: headers.get('x-sbp-session-id') ?? '',
      session_token: headers.get('x-session-token') ?? '',
    };
  }

  /** The session has the turn, once and with its answer; waited for where it was handed over. */
  async expectAnswer(): Promise<void> {
    const { session_id: id } = await this.key();
    await expect
      .poll(async () => (await this.agent.session(id)).step_count, { timeout: ANSWER_MS })
      .toBe(1);
    const messages = await this.agent.messages(id);
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant']);
    expect(String(messages[1]?.['content']).split(' ')).toHaveLength(WORDS);
  }
}

function lasting(ms: number): string {
  return steered(`ttft=0 tokens=${WORDS} interval=${Math.round(ms / WORDS)}`, SAID);
}
