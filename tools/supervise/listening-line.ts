import type { StartedProcess } from './supervised-process.js';

/**
 * Waits for the one JSON line with the key `listening` that each of our programs writes when it
 * serves.
 */
export function listeningLine({ lines }: StartedProcess): Promise<string> {
  return new Promise((resolve) => {
    const onLine = (line: string): void => {
      const url = listeningUrl(line);
      if (url === undefined) return;
      lines.off('line', onLine);
      resolve(url);
    };
    lines.on('line', onLine);
  });
}

function listeningUrl(line: string): string | undefined {
  if (!line.includes('"listening"')) return undefined;
  try {
    const { listening } = JSON.parse(line) as { readonly listening?: unknown };
    return typeof listening === 'string' ? listening : undefined;
  } catch {
    return undefined;
  }
}
