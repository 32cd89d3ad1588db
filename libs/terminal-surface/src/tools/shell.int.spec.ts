import { describe, expect, it } from 'vitest';
import { shell } from './shell.js';

const yes = { ask: () => Promise.resolve({ type: 'answered', text: 'y' } as const) };
const { signal } = new AbortController();

describe('a command that the person confirmed', () => {
  it('returns its exit code and what it wrote', async () => {
    const command = 'echo out; echo err >&2; exit 3';
    expect(await shell(yes).run({ command }, signal)).toEqual({
      type: 'result',
      result: { exit_code: 3, output: expect.stringMatching(/^(out\nerr|err\nout)\n$/) as unknown },
    });
  });

  it('has its output cut, and no character torn', async () => {
    const command = "yes 'ä' | head -c 200000; printf x";
    const outcome = await shell(yes).run({ command }, signal);
    expect(outcome).toMatchObject({ result: { exit_code: 0, cut_at_bytes: 65_536 } });
    const { output } = (outcome as { result: { output: string } }).result;
    expect(output).not.toContain('\ufffd');
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(65_536);
    expect(output.length).toBeGreaterThan(40_000);
  });

  it('is killed with all that it started when its time is over', async () => {
    const command = 'echo begun; sleep 600 & wait';
    const outcome = await shell(yes, 200).run({ command }, signal);
    expect(outcome).toMatchObject({
      result: { exit_code: null, stopped: expect.any(String) as unknown },
    });
  });

  it('is killed when the surface leaves', async () => {
    const leaving = new AbortController();
    const running = shell(yes).run({ command: 'sleep 600' }, leaving.signal);
    leaving.abort();
    expect(await running).toMatchObject({ result: { exit_code: null } });
  });

  it('does not know the token of the session', async () => {
    process.env['SBP_SESSION_TOKEN'] = 'secret';
    try {
      const command = 'echo "<$SBP_SESSION_TOKEN>"';
      const outcome = await shell(yes).run({ command }, signal);
      expect(outcome).toMatchObject({ result: { output: '<>\n' } });
    } finally {
      delete process.env['SBP_SESSION_TOKEN'];
    }
  });
});
