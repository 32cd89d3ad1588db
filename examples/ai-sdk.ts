// Vercel's AI SDK: npm install ai @ai-sdk/openai-compatible
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';

const statebridge = createOpenAICompatible({
  name: 'statebridge',
  baseURL: `${process.env['SBP_URL'] ?? 'http://localhost:8080'}/v1`,
  headers: { 'X-Agent-ID': 'ai-sdk' },
});
const model = statebridge('gpt-4o');

// #region session
// What stands under the provider's name goes into the body as it is.
const first = await generateText({
  model,
  prompt: 'My name is Ada.',
  providerOptions: { statebridge: { sbp: { force_new_session: true } } },
});
const session_id = first.finalStep.response.headers?.['x-sbp-session-id'] ?? null;
// #endregion
console.log(first.text);

const second = streamText({
  model,
  prompt: 'What is my name?',
  providerOptions: { statebridge: { sbp: { session_id } } },
});
for await (const text of second.textStream) process.stdout.write(text);
console.log();
