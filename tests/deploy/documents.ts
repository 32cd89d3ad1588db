import { parse, parseAllDocuments } from 'yaml';
import { textOf } from '../conformance/repository.js';

export type Fields = Readonly<Record<string, unknown>>;

/** All objects of a YAML file, by its path from the root. */
export function objectsOf(file: string): readonly Fields[] {
  return parseAllDocuments(textOf(file), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${file}: ${String(document.errors[0])}`);
    return document.toJS() as Fields;
  });
}

/**
 * A compose file with its variables filled in, as `docker compose` does; without what it resets.
 */
export function composeFile(file: string, environment: Readonly<Record<string, string>>): Fields {
  const tags = [
    { tag: '!override', collection: 'map' as const },
    { tag: '!reset', resolve: () => null },
  ];
  const written: unknown = parse(textOf(file), { merge: true, customTags: tags });
  return filledIn(written, environment) as Fields;
}

function filledIn(value: unknown, environment: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') return withVariables(value, environment);
  if (Array.isArray(value)) return value.map((each) => filledIn(each, environment));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([name, inner]) => [name, filledIn(inner, environment)]),
  );
}

function withVariables(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (...found: string[]) => {
    const [, name = '', how, other = ''] = found;
    const given = environment[name] ?? '';
    if (given !== '') return given;
    if (how !== '-') throw new Error(`${name} must be set: ${other}`);
    return other;
  });
}

/** The value below these names; undefined where there is none. */
export function at(value: unknown, ...names: readonly (string | number)[]): unknown {
  return names.reduce<unknown>(
    (inner, name) =>
      typeof inner === 'object' && inner !== null ? (inner as Fields)[name] : undefined,
    value,
  );
}

/** The same as an object's fields; none where it is no object. */
export function fieldsAt(value: unknown, ...names: readonly (string | number)[]): Fields {
  const found = at(value, ...names);
  return typeof found === 'object' && found !== null ? (found as Fields) : {};
}

export function listAt(value: unknown, ...names: readonly (string | number)[]): readonly Fields[] {
  const found = at(value, ...names);
  return Array.isArray(found) ? (found as readonly Fields[]) : [];
}

/** The same of a list of texts. */
export function textsAt(value: unknown, ...names: readonly (string | number)[]): readonly string[] {
  const found = at(value, ...names);
  return Array.isArray(found) ? found.map((each: unknown) => String(each)) : [];
}
