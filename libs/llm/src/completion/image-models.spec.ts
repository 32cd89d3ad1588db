import { describe, expect, it } from 'vitest';
import { DEFAULT_IMAGE_MODELS, isOneOf } from './image-models.js';

describe('models that take images', () => {
  it.each([
    ['gpt-4o', true],
    ['openai/gpt-4o-mini-2024-07-18', true],
    ['Claude-Opus-4-5', true],
    ['llama3.2-vision:11b', true],
    ['qwen2.5-vl-7b', true],
    ['gpt-3.5-turbo', false],
    ['deepseek-chat', false],
    ['my-gpt-4o', false],
  ])('are known by their families: %s', (model, takes) => {
    expect(isOneOf(DEFAULT_IMAGE_MODELS, model)).toBe(takes);
  });

  it('are those whose names fit, whole', () => {
    const takes = (model: string) => isOneOf(['a*b*c', 'whole', 'x*x'], model);
    expect(['abc', 'a-b-c', 'aXbYbc', 'whole', 'x-x'].map(takes)).toEqual(Array(5).fill(true));
    expect(['ab', 'acb', 'wholes', 'gpt-4o', 'x'].map(takes)).toEqual(Array(5).fill(false));
    expect(isOneOf(['*'], 'anything')).toBe(true);
  });
});
