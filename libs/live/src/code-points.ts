export function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

export function isLowSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}

/** Splits text before a trailing half of a code point, whose other half is still to come. */
export function wholeCodePoints(text: string): { readonly whole: string; readonly half: string } {
  const end = isHighSurrogate(text.charCodeAt(text.length - 1)) ? text.length - 1 : text.length;
  return { whole: text.slice(0, end), half: text.slice(end) };
}
