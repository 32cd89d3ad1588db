import { surfaceTools } from '#libs/domain';
import type { JsonObject } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { offerOf } from './offer.js';

const own = (name: string) => ({ type: 'function', function: { name } });

function offered(
  options: JsonObject,
  names: readonly string[] = ['gps'],
  { round = 1, isLast = false } = {},
) {
  const tools = surfaceTools({ mcp_tools: [...names] }, {});
  return offerOf(options, { attachId: 'a', tools }, { round, isLast });
}
const namesIn = ({ options }: { readonly options: JsonObject }) =>
  ((options['tools'] ?? []) as { readonly function: { readonly name: string } }[]).map(
    (tool) => tool.function.name,
  );

// [SBP-L5-01]
describe('what a model is offered', () => {
  it("is the client's own tools as they are, and the surface's behind them", () => {
    const strict = { ...own('a'), function: { name: 'a', strict: true, parameters: { x: 1 } } };
    const offer = offered({ tools: [strict], parallel_tool_calls: false, tool_choice: 'auto' });
    expect(offer.options).toEqual({
      tools: [
        strict,
        {
          type: 'function',
          function: { name: 'surface_gps', parameters: { type: 'object', properties: {} } },
        },
      ],
      parallel_tool_calls: false,
      tool_choice: 'auto',
    });
    expect(offer.isSurfaces('surface_gps')).toBe(true);
    expect(offer.isSurfaces('surface_other')).toBe(true);
    expect(offer.isSurfaces('a')).toBe(false);
  });

  it('is an open object where a schema is none, because an upstream would refuse every turn', () => {
    const schemas = {
      gps: { inputSchema: { properties: 5 } },
      ok: { inputSchema: { required: [] } },
    };
    const tools = surfaceTools({ mcp_tools: ['gps', 'ok'] }, schemas);
    const { options } = offerOf({}, { attachId: 'a', tools }, { round: 1, isLast: false });
    expect(options['tools']).toMatchObject([
      { function: { parameters: { type: 'object', properties: {} } } },
      { function: { parameters: { type: 'object', properties: {}, required: [] } } },
    ]);
  });

  it("leaves out what has the name of one of the client's own", () => {
    const offer = offered({ tools: [own('surface_gps')] }, ['gps', 'camera']);
    expect(namesIn(offer)).toEqual(['surface_gps', 'surface_camera']);
    expect(offer.isSurfaces('surface_gps')).toBe(false);
    const custom = { type: 'custom', custom: { name: 'surface_gps' } };
    expect(offered({ tools: [custom] }).isSurfaces('surface_gps')).toBe(false);
  });

  it('is what the client asked, where there is nothing to offer, or several choices', () => {
    const options = { temperature: 0, tool_choice: 'none' };
    expect(offerOf(options, null, { round: 1, isLast: false }).options).toBe(options);
    const several = { n: 2, tools: [own('a')] };
    expect(offered(several).options).toBe(several);
    expect(offered(several).isSurfaces('surface_gps')).toBe(false);
  });

  it('has no more functions than models take', () => {
    const names = Array.from({ length: 128 }, (_, at) => `t${at}`);
    expect(namesIn(offered({ tools: [own('a'), own('b')] }, names))).toHaveLength(128);
  });

  it('has names that models take', () => {
    const names = ['__proto__', 'a.b c', 'é'.repeat(64), 'a_b_c', 'constructor'];
    expect(namesIn(offered({}, names))).toEqual([
      'surface___proto__',
      'surface_a_b_c',
      `surface_${'_'.repeat(56)}`,
      'surface_constructor',
    ]);
  });

  // [SBP-L5-09]
  it('forces a call in the first round only, and allows none in the last', () => {
    const choices = (choice: unknown, round: number, isLast = false) =>
      offered({ tool_choice: choice }, ['gps'], { round, isLast }).options['tool_choice'];
    const named = { type: 'function', function: { name: 'surface_gps' } };
    const allowed = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named] } };
    expect([choices('required', 1), choices('required', 2)]).toEqual(['required', 'auto']);
    expect([choices(named, 1), choices(named, 2)]).toEqual([named, 'auto']);
    expect(choices(allowed, 2)).toEqual({
      ...allowed,
      allowed_tools: { ...allowed.allowed_tools, mode: 'auto' },
    });
    expect([choices('none', 2), choices(undefined, 2)]).toEqual(['none', undefined]);
    expect(choices('auto', 17, true)).toBe('none');
  });
});
