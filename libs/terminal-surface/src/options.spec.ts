import { describe, expect, it } from 'vitest';
import { parseSurfaceOptions } from './options.js';

const ID = '7f3c1f4e-0b1d-4c7e-9a55-2f1f1f5a3c1b';

describe('the options of a surface', () => {
  it('have defaults', () => {
    expect(parseSurfaceOptions({}, [])).toEqual({
      url: 'http://localhost:8080',
      session: null,
      ask: null,
      apiKey: null,
      model: 'gpt-4o',
      deviceType: 'desktop',
      tools: ['camera', 'gps', 'notify', 'prompt'],
      shell: false,
      permitted: false,
      json: false,
      place: { latitude: 35.6586, longitude: 139.7454 },
    });
  });

  it('are flags before the environment', () => {
    const environment = {
      SBP_URL: 'https://other.example/sbp/',
      SBP_SESSION_ID: ID.toUpperCase(),
      SBP_SESSION_TOKEN: 'of the environment',
      SBP_API_KEY: 'sbp_key',
    };
    expect(parseSurfaceOptions(environment, ['--token', 'of the flag'])).toMatchObject({
      url: 'https://other.example/sbp',
      apiKey: 'sbp_key',
      session: { id: ID, token: 'of the flag' },
    });
    const flags = ['--url=http://127.0.0.1:1', '--tools', 'prompt, gps', '--shell', '--yes'];
    expect(parseSurfaceOptions(environment, [...flags, '--place=-33.9,18.4'])).toMatchObject({
      url: 'http://127.0.0.1:1',
      tools: ['gps', 'prompt'],
      shell: true,
      permitted: true,
      place: { latitude: -33.9, longitude: 18.4 },
    });
    expect(parseSurfaceOptions({}, ['--tools', 'none', '--json'])).toMatchObject({
      tools: [],
      json: true,
    });
  });

  it.each([
    ['--url', ['--url', 'localhost:8080']],
    ['--url', ['--url', 'ws://localhost']],
    ['--session', ['--session', 'x', '--token', 't']],
    ['--session', ['--token', 't']],
    ['--token', ['--session', ID]],
    ['--device-type', ['--device-type', 'toaster']],
    ['--tools', ['--tools', 'camera,shell']],
    ['--tools', ['--tools', '']],
    ['--place', ['--place', '1']],
    ['--place', ['--place', '91,0']],
    ['--place', ['--place', '1,2,3']],
    ["Unknown option '--fast'", ['--fast']],
    ['Unexpected argument', ['stray']],
  ])('name %s when they cannot be used (%o)', (problem, argv) => {
    expect(() => parseSurfaceOptions({}, argv)).toThrow(problem);
  });

  it('tell all problems at once', () => {
    const argv = ['--url', 'x', '--tools', 'x', '--place', 'x'];
    expect(() => parseSurfaceOptions({}, argv)).toThrow(
      expect.objectContaining({ problems: [/--url/, /--tools/, /--place/].map(matching) }),
    );
  });
});

function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}
