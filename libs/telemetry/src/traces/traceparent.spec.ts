import { expect, it } from 'vitest';
import { parseTraceparent, traceparentOf } from './traceparent.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

it('a traceparent is read as it is written, and flags that are unknown are left out', () => {
  const parent = { traceId: TRACE, spanId: SPAN, traceFlags: 1 };
  expect(parseTraceparent(traceparentOf(parent))).toEqual(parent);
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-03`)).toEqual(parent);
  expect(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`)).toEqual(parent);
});

it.each([
  '',
  `ff-${TRACE}-${SPAN}-01`,
  `00-${'0'.repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${'0'.repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}`,
])('%j is none', (text) => {
  expect(parseTraceparent(text)).toBeNull();
});
