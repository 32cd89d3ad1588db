import { parseArgs } from 'node:util';
import { InvalidSetting } from '#libs/llm';

/** A flag's name, and whether it takes a value. */
export type FlagTable = Readonly<Record<string, 'value' | 'switch'>>;

export type WrittenFlags = Readonly<Record<string, string | undefined>>;

/**
 * Reads `--flag value`, `--flag=value` and `--switch` (which reads as `true`). Throws
 * `InvalidSetting` for what the table does not know: a flag that is silently ignored would be
 * believed to work.
 */
export function parseFlags(argv: readonly string[], table: FlagTable): WrittenFlags {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, kind]) => [
      name,
      { type: kind === 'value' ? 'string' : 'boolean' } as const,
    ]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const written: Record<string, string> = {};
  for (const token of tokens) {
    if (token.kind === 'positional') throw unknown(token.value, table);
    if (token.kind !== 'option') continue;
    const kind = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (kind === undefined) throw unknown(token.rawName, table);
    if (kind === 'value' && (token.value === undefined || token.value === '')) {
      throw new InvalidSetting(token.rawName, 'needs a value');
    }
    written[token.name] = token.value ?? 'true';
  }
  return written;
}

function unknown(argument: string, table: FlagTable): InvalidSetting {
  const known = Object.keys(table).map((name) => `--${name}`);
  return new InvalidSetting(argument, `is not known here. Known are: ${known.join(', ')}.`);
}
