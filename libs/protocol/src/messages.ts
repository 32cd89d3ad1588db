import { z } from 'zod';

/**
 * One message of a conversation, in OpenAI's form. Content is a string, a list of parts, or null;
 * every field that is not named here (names, refusals, audio, provider extras) is kept as it came.
 */
export const Message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() })), z.null()]).optional(),
  tool_call_id: z.string().nullish(),
  tool_calls: z.array(z.looseObject({})).nullish(),
});
export type Message = Readonly<z.infer<typeof Message>>;
