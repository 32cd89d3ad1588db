import { z } from 'zod';
import { SbpResponse } from '#libs/protocol';

/** A completion as these tests look at it. `demo` says what the built-in model was given. */
export const Completion = z.looseObject({
  object: z.literal('chat.completion'),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      message: z.looseObject({ role: z.literal('assistant'), content: z.string() }),
      finish_reason: z.string(),
    }),
  ),
  usage: z.looseObject({ prompt_tokens: z.int(), completion_tokens: z.int() }),
  /** Not where it was made again from what is stored. */
  demo: z.object({ messages: z.int(), fields: z.array(z.string()) }).optional(),
  sbp: SbpResponse.optional(),
});
export type Completion = z.infer<typeof Completion>;

export const Chunk = z.looseObject({
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      delta: z.looseObject({ content: z.string().nullish() }),
      finish_reason: z.string().nullable(),
    }),
  ),
  usage: z.looseObject({}).nullish(),
  demo: z.object({ messages: z.int(), fields: z.array(z.string()) }).optional(),
  sbp: SbpResponse.optional(),
});
export type Chunk = z.infer<typeof Chunk>;

export const Failure = z.object({
  error: z.looseObject({ code: z.string().nullable(), message: z.string() }),
});

/** The text of an answer's first choice. */
export function textOf({ choices }: Completion): string {
  return choices[0]?.message.content ?? '';
}
