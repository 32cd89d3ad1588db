// LangChain: npm install @langchain/openai
import { ChatOpenAI } from '@langchain/openai';

// #region session
let session_id: string | null = null;

const chat = (sbp: object) =>
  new ChatOpenAI({
    model: 'gpt-4o',
    apiKey: 'unused',
    modelKwargs: { sbp },
    configuration: {
      baseURL: `${process.env['SBP_URL'] ?? 'http://localhost:8080'}/v1`,
      defaultHeaders: { 'X-Agent-ID': 'langchain' },
      // LangChain does not give headers to its callers, so they are read on the way.
      fetch: async (...request: Parameters<typeof fetch>) => {
        const response = await fetch(...request);
        session_id = response.headers.get('X-SBP-Session-ID') ?? session_id;
        return response;
      },
    },
  });
// #endregion

const first = await chat({ force_new_session: true }).invoke('My name is Ada.');
console.log(first.content);

const stream = await chat({ session_id }).stream('What is my name?');
for await (const chunk of stream) process.stdout.write(chunk.text);
console.log();
