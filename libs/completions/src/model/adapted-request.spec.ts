import { describe, expect, it } from 'vitest';
import { fold, sessionOpened, surfaceAttached, surfaceDetached, user } from '#libs/domain/testing';
import { ContextTokens } from '#libs/llm';
import type { JsonObject, Message, SurfaceContext } from '#libs/protocol';
import { StoredTurn, emptyTranscript } from '#libs/store';
import type { MaxTokensField } from '../completions-options.js';
import { adaptedRequest } from './adapted-request.js';
import { ContextWindow } from './context-window.js';

const OWN: Message = { role: 'developer', content: 'Be brief.' };
const TOLD: Message = { role: 'system', content: 'Answer in plain text, without Markdown.' };
const PLAIN: SurfaceContext = { ui_capabilities: [] };

const attached = (context: SurfaceContext) =>
  fold([sessionOpened(1), surfaceAttached('a', { context })]);

function adapted(
  context: SurfaceContext,
  options: JsonObject = {},
  field: MaxTokensField = 'max_tokens',
  state = attached(context).state,
) {
  const system = [OWN];
  const messages = [user('Hello')];
  const prompt = { system, transcript: emptyTranscript, keeps: 0, messages, isStored: false };
  const asked = structuredClone(options);
  const made = adaptedRequest({ state, prompt }, options, field);
  // What is stored of a turn is never changed.
  expect([system, options]).toEqual([[OWN], asked]);
  return { system: made.prompt.system, options: made.options };
}

// [SBP-L4-03]
describe('the instruction of a turn', () => {
  it("follows the client's own system messages", () => {
    expect(adapted(PLAIN).system).toEqual([OWN, TOLD]);
  });

  it('is not there where the surface needs none, or no surface is attached', () => {
    expect(adapted({}).system).toEqual([OWN]);
    const { state } = fold([surfaceDetached('a')], attached(PLAIN).state);
    expect(adapted(PLAIN, {}, 'max_tokens', state).system).toEqual([OWN]);
    const { state: unopened } = fold([]);
    expect(adapted(PLAIN, {}, 'max_tokens', unopened).system).toEqual([OWN]);
  });

  it('counts as sent in the context window', () => {
    const words = 'word '.repeat(200);
    const talk = StoredTurn.of(0, 'answered', [user(words), { role: 'assistant', content: words }]);
    const transcript = emptyTranscript.extended([talk], 1);
    if (transcript === null) throw new Error('it does not follow');
    const omitted = (system: readonly Message[], tokens: number): number => {
      const messages = [user('And?')];
      const prompt = { system, transcript, keeps: 2, messages, isStored: false };
      return new ContextWindow(new ContextTokens([['m', tokens]])).fit('m', prompt, {}).omitted;
    };
    const { system } = adapted(PLAIN);
    const tokens = Array.from({ length: 1_000 }, (_, index) => 256 + index);
    const least = tokens.find((limit) => omitted([OWN], limit) === 0) ?? 0;
    expect(omitted([OWN], least)).toBe(0);
    expect(omitted(system, least)).toBe(1);
  });
});

// [SBP-L4-05]
describe("a surface's limit of tokens", () => {
  const limited = { max_output_tokens: 50 };

  it.each<[MaxTokensField]>([['max_tokens'], ['max_completion_tokens']])(
    'is sent as %s',
    (field) => {
      expect(adapted(limited, { n: 1 }, field).options).toEqual({ n: 1, [field]: 50 });
    },
  );

  it.each<[JsonObject]>([
    [{ max_tokens: 7 }],
    [{ max_completion_tokens: 7 }],
    [{ max_tokens: null, max_completion_tokens: 700 }],
  ])('does not stand beside the own limit of a request: %j', (options) => {
    expect(adapted(limited, options).options).toEqual(options);
  });

  it('takes the place of a null, which is no limit', () => {
    const nulls = { max_tokens: null };
    expect(adapted(limited, nulls).options).toEqual({ max_tokens: 50 });
  });
});
