/** Controls but the tab and the line feed; escape sequences begin with one of them. */
const CONTROLS = /(?![\t\n])\p{Cc}/gu;
/** Characters without a look of their own, such as those that turn the direction of text. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** What may be printed of a text from elsewhere: it cannot command the terminal. */
export function plainText(text: string): string {
  return text.replace(CONTROLS, '');
}

/** The same on one line, of so many code points at most. */
export function shortLine(text: string, most: number): string {
  // Cut first: the text can be megabytes long.
  const points = Array.from(plainText(text.slice(0, 4 * most)).replaceAll(/\s+/g, ' '));
  return points.length <= most ? points.join('') : `${points.slice(0, most).join('')}…`;
}

/** A value as one line of JSON, in which no character can command the terminal. */
export function jsonLine(value: unknown): string {
  // JSON escapes the controls below the space, and leaves those from 0x7f on.
  return JSON.stringify(value).replace(CONTROLS, (control) => {
    return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Whether a person who reads the text sees all of it, line feeds and tabs aside. */
export function isFullyVisible(text: string): boolean {
  return !INVISIBLE.test(text.replaceAll(/[\n\t]/g, ''));
}
