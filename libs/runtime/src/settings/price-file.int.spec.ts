import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseSettings } from './settings.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'statebridge-prices-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function pricesOf(text: string): Promise<unknown> {
  const file = path.join(folder, 'prices.json');
  await writeFile(file, text);
  return parseSettings({ SBP_PRICES: file }).prices;
}

it('reads prices from a file', async () => {
  expect(await pricesOf('{"m": {"input": 1, "output": 2}}')).toEqual(
    new Map([['m', { input: 1, output: 2 }]]),
  );
});

it.each([
  ['no JSON', '{"m"', /^SBP_PRICES: is not JSON$/],
  ['no object', '[]', /^SBP_PRICES: must be an object/],
  ['no amount', '{"m": {"input": 1}}', /^SBP_PRICES\["m"\]\.output: must be a number/],
  ['an unknown field', '{"m": {"input": 1, "output": 2, "x": 3}}', /^SBP_PRICES\["m"\]\.x: /],
])('refuses a file of prices with %s, and names the field', async (_what, text, message) => {
  await expect(pricesOf(text)).rejects.toThrow(message);
});

it('refuses a folder in place of a file of prices', () => {
  expect(() => parseSettings({ SBP_PRICES: folder })).toThrow(/^SBP_PRICES: is neither JSON/);
});
