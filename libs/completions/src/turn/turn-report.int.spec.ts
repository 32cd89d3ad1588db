import { describe, expect, it } from 'vitest';
import { DEFAULT_DEMO_OPTIONS, DemoModel } from '#libs/llm';
import { createLogger } from '#libs/telemetry';
import { TestCaller } from '../testing/test-caller.js';
import type { CompletionsSetup, TestCompletions } from '../testing/test-completions.js';
import {
  TestModel,
  answerWith,
  neverAnswer,
  refuseWith,
  streamWith,
} from '../testing/test-model.js';
import { eventually, useStage } from '../testing/test-stage.js';
import type { TurnReport } from './turn-report.js';

const stage = useStage();
const QUESTION = 'What is the secret of the green cupboard?';
const ANSWER = 'A staircase of marzipan.';

const isNumber = expect.any(Number) as number;
const isText = expect.any(String) as string;

/** A process, and the lines that it logs of turns. */
async function told(setup: CompletionsSetup) {
  const lines: string[] = [];
  const logger = createLogger('test', 'info', { write: (line) => void lines.push(line) });
  const onTurnEnded = (report: TurnReport) => logger.info(report, 'A turn has ended');
  const options = { ...setup.options, onTurnEnded };
  const completions = await stage.start({ ...setup, options });
  const reports = () => lines.map((line) => JSON.parse(line) as TurnReport);
  return { completions, lines, reports };
}

// [SBP-OPS-23]
describe('each run of a turn is one line of the log', () => {
  it('with its names, times and tokens, and nothing that was said', async () => {
    const model = new TestModel();
    model.answer = () => answerWith(ANSWER);
    const { completions, lines, reports } = await told({ model });
    await completions.turn({ text: QUESTION, agentId: 'librarian' });
    expect(reports()).toEqual([
      {
        ...{ level: 'info', time: isText, name: 'test', pid: isNumber, hostname: isText },
        msg: 'A turn has ended',
        session: isText,
        turn: isText,
        agent: 'librarian',
        principal: 'anonymous',
        model: 'm',
        model_used: 'm-1',
        status: 'completed',
        entry: 'at-once',
        rounds: 0,
        waited_ms: isNumber,
        first_token_ms: null,
        model_ms: isNumber,
        total_ms: isNumber,
        prompt_tokens: isNumber,
        completion_tokens: isNumber,
        cost_usd: null,
        stream: false,
      },
    ]);
    for (const word of `${QUESTION} ${ANSWER}`.match(/\w{5,}/g) ?? []) {
      expect(lines.join(''), word).not.toContain(word);
    }
  });

  it('also where the model refuses, the caller leaves, and the turn has waited', async () => {
    const model = new TestModel();
    model.answer = () => refuseWith(400);
    const { completions, reports } = await told({ model });
    await completions.turn({ text: QUESTION });
    model.answer = ({ signal }) => streamWith(signal, ANSWER);
    const caller = new TestCaller();
    const sbp = { on_disconnect: 'cancel' };
    const running = completions.turn({ text: 'On.', stream: true, sbp }, caller);
    await eventually(() => expect(caller.text).toBe(ANSWER));
    model.answer = () => answerWith(ANSWER);
    const waiting = completions.turn({ text: 'And on.' });
    await eventually(async () => expect(await stage.types()).toContain('turn.queued'));
    caller.leave();
    await Promise.all([running, waiting]);
    expect(reports()).toMatchObject([
      { status: 'failed', entry: 'at-once', model_used: null },
      { status: 'cancelled', entry: 'at-once', stream: true, first_token_ms: isNumber },
      { status: 'completed', entry: 'queued', stream: false },
    ]);
    expect(reports()[2]?.waited_ms).toBeGreaterThanOrEqual(0);
  });

  it('also where another process has begun it', async () => {
    const dying = new TestModel();
    dying.answer = neverAnswer;
    const first = await told({ model: dying });
    const lost = first.completions.turn({ text: QUESTION });
    await eventually(() => expect(dying.asked).toHaveLength(1));
    const demo = new DemoModel({ ...DEFAULT_DEMO_OPTIONS, ttftMs: 0, tokens: 5, intervalMs: 0 });
    const second = await told({ model: demo });
    await handOver(first.completions);
    await lost;
    await eventually(() => expect(second.reports()).toHaveLength(1));
    expect(first.reports()).toMatchObject([{ status: 'elsewhere', entry: 'at-once' }]);
    expect(second.reports()).toMatchObject([
      { status: 'completed', entry: 'adopted', waited_ms: null, model: 'm' },
    ]);
  });
});

async function handOver(completions: TestCompletions): Promise<void> {
  await completions.stop();
}
