import { afterAll, beforeAll, describe } from 'vitest';
import { StrictModel } from './clients/strict-model.js';
import { aiSdk } from './suites/ai-sdk.contract.js';
import { langchain } from './suites/langchain.contract.js';
import { langchainPython } from './suites/langchain-python.contract.js';
import { openaiHelpers } from './suites/openai-helpers.contract.js';
import { openaiPython } from './suites/openai-python.contract.js';
import { startEmbedded } from './topology/embedded.js';
import type { GetServer, Server } from './topology/server.js';
import { startServices } from './topology/stack.js';

describe.each([
  ['embedded', startEmbedded],
  ['services', startServices],
])('%s, with a model that takes only what OpenAI does:', (_topology, start) => {
  let model: StrictModel;
  let server: Server | undefined;

  beforeAll(async () => {
    model = await StrictModel.start();
    server = await start({ SBP_LLM_BASE_URL: model.url });
  });
  afterAll(async () => {
    await server?.stop();
    await model.stop();
  });
  const running: GetServer = () => {
    if (server === undefined) throw new Error('the server does not run');
    return server;
  };

  openaiHelpers(running);
  openaiPython(running);
  aiSdk(running);
  langchain(running);
  langchainPython(running);
});
