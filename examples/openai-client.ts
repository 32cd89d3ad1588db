// OpenAI's own client, unmodified: a session of two turns, the second one streamed.
import OpenAI from 'openai';

// #region session
const client = new OpenAI({
  baseURL: `${process.env['SBP_URL'] ?? 'http://localhost:8080'}/v1`,
  apiKey: 'unused',
  defaultHeaders: { 'X-Agent-ID': 'openai-client' },
});

/** The field that OpenAI's types do not know: spread into a request, it compiles. */
const sbp = (fields: { session_id?: string | null; force_new_session?: boolean } = {}) => ({
  sbp: fields,
});

const { data: first, response } = await client.chat.completions
  .create({
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'My name is Ada.' }],
    ...sbp({ force_new_session: true }),
  })
  .withResponse();
// The session is also in the body, as `sbp.session_id`; every client can read a header.
const session_id = response.headers.get('X-SBP-Session-ID');
console.log(first.choices[0]?.message.content);

// Only what is new is sent: the server has the rest.
const stream = await client.chat.completions.create({
  model: 'gpt-4o',
  messages: [{ role: 'user', content: 'What is my name?' }],
  ...sbp({ session_id }),
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
// #endregion

// What the other examples take.
console.log(`\n${session_id} ${response.headers.get('X-Session-Token')}`);
