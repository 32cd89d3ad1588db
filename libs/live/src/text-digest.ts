import { isHighSurrogate, isLowSurrogate } from './code-points.js';

/**
 * What is remembered of a text instead of the text itself: its lengths, and a hash of 64 bits in
 * two lanes. It is enough to tell whether another text begins with it, and costs the same however
 * long the text is. The hash guards against accidents, not against somebody who looks for
 * collisions: whoever writes a model's answer gains nothing by one.
 */
export interface TextDigest {
  /** Length in UTF-16 code units. */
  readonly units: number;
  /** Length in code points; of well-formed text that was appended in whole code points. */
  readonly codePoints: number;
  readonly lanes: readonly [number, number];
}

export const EMPTY_TEXT: TextDigest = {
  units: 0,
  codePoints: 0,
  lanes: [0x243f6a88, 0x85a308d3],
};

/** The digest of the text followed by the first `units` code units of `more`. */
export function extended(digest: TextDigest, more: string, units = more.length): TextDigest {
  let [one, two] = digest.lanes;
  let pairs = 0;
  let before = 0;
  for (let index = 0; index < units; index++) {
    const unit = more.charCodeAt(index);
    if (isLowSurrogate(unit) && isHighSurrogate(before)) pairs++;
    before = unit;
    // Rotated before each multiplication, because a product passes differences only upwards.
    one = Math.imul(((one << 5) | (one >>> 27)) ^ unit, 0x9e3779b1);
    two = Math.imul(((two << 13) | (two >>> 19)) ^ unit, 0x85ebca77);
  }
  return {
    units: digest.units + units,
    codePoints: digest.codePoints + units - pairs,
    lanes: [one, two],
  };
}

export function beginsWith(text: string, beginning: TextDigest): boolean {
  if (text.length < beginning.units) return false;
  const [one, two] = extended(EMPTY_TEXT, text, beginning.units).lanes;
  return one === beginning.lanes[0] && two === beginning.lanes[1];
}
