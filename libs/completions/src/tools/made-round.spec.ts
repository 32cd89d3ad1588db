import { surfaceTools } from '#libs/domain';
import type { Message } from '#libs/protocol';
import { describe, expect, it } from 'vitest';
import { madeCalls, partedAnswer } from './made-round.js';
import { offerOf } from './offer.js';

const schema = {
  type: 'object',
  properties: { to: { type: 'string' } },
  required: ['to'],
} as const;
const tools = surfaceTools(
  { mcp_tools: ['gps', 'call'] },
  { call: { inputSchema: schema, timeout_seconds: 2.5 } },
);
const place = { round: 1, isLast: false };
const offer = offerOf({ tools: [] }, { attachId: 'a', tools }, place);

function said(...calls: readonly (readonly [id: string, name: string, args: string])[]): Message {
  return {
    role: 'assistant',
    content: 'Well.',
    tool_calls: calls.map(([id, name, args]) => {
      return { id, type: 'function', function: { name, arguments: args } };
    }),
  };
}

function sent(name: string, args: string, approve: ReadonlySet<string> = new Set(['call'])) {
  const { surfaces } = partedAnswer(said(['1', name, args]), offer);
  if (surfaces === null) throw new Error('it calls none of the surface');
  const [call] = madeCalls(surfaces, offer, approve);
  return call?.sent.type === 'refused' ? call.sent.why : call;
}

describe('an answer that calls tools', () => {
  it('is parted by whose they are, and what is said stands once', () => {
    const message = said(['1', 'surface_gps', '{}'], ['2', 'own', '{}'], ['3', 'surface_x', '']);
    const { surfaces, own } = partedAnswer(message, offer);
    expect(surfaces).toMatchObject({ content: 'Well.', tool_calls: [{ id: '1' }, { id: '3' }] });
    expect(own).toMatchObject({ content: null, tool_calls: [{ id: '2' }] });
  });

  it('is whole where it calls none of the surface’s', () => {
    const message = said(['2', 'own', '{}']);
    expect(partedAnswer(message, offer)).toEqual({ surfaces: null, own: message });
  });

  it('has an id for each call, so that its answer can name it', () => {
    const { surfaces } = partedAnswer(said(['', 'surface_gps', '{}']), offer);
    expect(surfaces?.tool_calls?.[0]?.['id']).toMatch(/^call_[0-9a-f-]{36}$/);
  });

  it('leaves calls of the client that are of no function as they are', () => {
    const custom = { id: '2', type: 'custom', custom: { name: 'surface_gps', input: 'x' } };
    const other = { type: 'odd', odd: 5 };
    const { tool_calls: calls = [] } = said(['1', 'surface_gps', '{}']);
    const message = { ...said(), tool_calls: [custom, ...(calls ?? []), other] };
    const { surfaces, own } = partedAnswer(message, offer);
    expect(surfaces?.tool_calls).toMatchObject([{ id: '1' }]);
    expect(own?.tool_calls).toEqual([custom, other]);
  });

  it('has an answer to each call, also to more than are made', () => {
    const many = Array.from({ length: 300 }, (_, at) => [`${at}`, 'surface_gps', '{}'] as const);
    const { surfaces } = partedAnswer(said(...many), offer);
    expect(surfaces?.tool_calls).toHaveLength(300);
    const made = surfaces === null ? [] : madeCalls(surfaces, offer, new Set());
    expect(made.map(({ toolName }) => toolName)).toEqual(many.map(() => 'gps'));
    expect(made.filter((call) => call.sent.type === 'to-surface')).toHaveLength(256);
    expect(made.at(256)?.sent).toMatchObject({
      type: 'refused',
      why: expect.stringContaining('No more than 256') as string,
    });
  });

  // [SBP-L5-13]
  it('needs an approval where its tool is named, as the surface knows it or as the model does', () => {
    const needs = (...approve: readonly string[]) => sent('surface_gps', '', new Set(approve));
    expect(needs('call')).toMatchObject({ sent: { needsApproval: false } });
    expect(needs('gps')).toMatchObject({ sent: { needsApproval: true } });
    expect(needs('surface_gps')).toMatchObject({ sent: { needsApproval: true } });
  });

  // [SBP-L5-07]
  it.each([
    ['surface_gps', '', { toolName: 'gps', toolInput: {} }],
    ['surface_gps', '{"any": [1]}', { toolName: 'gps', toolInput: { any: [1] } }],
    [
      'surface_call',
      '{"to": "Ada"}',
      { sent: { type: 'to-surface', timeoutMs: 2_500, needsApproval: true } },
    ],
  ])('calls %s with %j', (name, args, expected) => {
    expect(sent(name, args)).toMatchObject(expected);
  });

  // [SBP-L5-07]
  it.each([
    ['surface_gps', '{"a":', /not a JSON object/],
    ['surface_gps', '[1]', /not a JSON object/],
    ['surface_gps', 'null', /not a JSON object/],
    ['surface_gps', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`, /nested/],
    ['surface_call', '{}', /required property 'to'/],
    ['surface_call', '{"to": 5}', /\/to must be string/],
    ['surface_door', '{}', /no tool surface_door/],
  ])('does not call %s with %j, and says why', (name, args, why) => {
    expect(sent(name, args)).toMatch(why);
  });
});
