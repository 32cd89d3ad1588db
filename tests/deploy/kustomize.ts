import path from 'node:path';
import { statSync } from 'node:fs';
import { parse } from 'yaml';
import { ROOT } from '../conformance/repository.js';
import { at, fieldsAt, listAt, objectsOf } from './documents.js';
import type { Fields } from './documents.js';

const KNOWN = ['apiVersion', 'kind', 'namespace', 'resources', 'components', 'patches'];
const WITHOUT_NAMESPACE = ['Namespace'];

/**
 * What `kubectl kustomize` makes of a folder, for the part of kustomize that our folders use;
 * throws at anything else, so that it never renders something other than kubectl does.
 */
export function rendered(folder: string): readonly Fields[] {
  const file = path.join(folder, 'kustomization.yaml');
  const [kustomization = {}] = objectsOf(file);
  const unknown = Object.keys(kustomization).filter((name) => !KNOWN.includes(name));
  if (unknown.length > 0) throw new Error(`${file}: ${unknown.join(', ')} is not supported here`);
  const parts = [...listAt(kustomization, 'resources'), ...listAt(kustomization, 'components')];
  let objects = parts.map(String).flatMap((part) => {
    const target = path.join(folder, part);
    return statSync(path.join(ROOT, target)).isDirectory() ? rendered(target) : objectsOf(target);
  });
  for (const patch of listAt(kustomization, 'patches')) objects = patched(objects, patch, folder);
  const namespace = at(kustomization, 'namespace');
  return objects.map((object) =>
    namespace === undefined || WITHOUT_NAMESPACE.includes(String(at(object, 'kind')))
      ? object
      : { ...object, metadata: { ...fieldsAt(object, 'metadata'), namespace } },
  );
}

function patched(objects: readonly Fields[], patch: Fields, folder: string): Fields[] {
  const { target, path: file, patch: inline } = patch;
  const isTarget = (object: Fields, of: unknown): boolean =>
    at(object, 'kind') === at(of, 'kind') &&
    (at(of, 'metadata', 'name') ?? at(object, 'metadata', 'name')) ===
      at(object, 'metadata', 'name');
  const change = (of: unknown, how: (object: Fields) => Fields): Fields[] => {
    if (!objects.some((object) => isTarget(object, of)))
      throw new Error(`${folder}: a patch fits no object: ${JSON.stringify(of)}`);
    return objects.map((object) => (isTarget(object, of) ? how(object) : object));
  };
  if (typeof file === 'string' && target === undefined) {
    const [merge = {}] = objectsOf(path.join(folder, file));
    return change(merge, (object) => merged(object, merge));
  }
  if (typeof inline !== 'string') throw new Error(`${folder}: such a patch is not supported here`);
  const operations = parse(inline) as readonly Fields[];
  return change(target, (object) => operations.reduce(replaced, object));
}

/** A strategic merge, of fields only: how lists are merged depends on the field. */
function merged(object: Fields, patch: Fields): Fields {
  const changed = Object.entries(patch).map(([name, value]) => {
    const before = object[name];
    if (Array.isArray(before)) throw new Error(`a patch of the list ${name} is not supported here`);
    const isInner = typeof before === 'object' && before !== null;
    return [name, isInner ? merged(before as Fields, value as Fields) : value];
  });
  return { ...object, ...(Object.fromEntries(changed) as Fields) };
}

function replaced(object: Fields, { op, path: pointer, value }: Fields): Fields {
  const names = String(pointer).split('/').slice(1);
  if (op !== 'replace' || at(object, ...names) === undefined)
    throw new Error(`the operation ${String(op)} ${String(pointer)} is not supported here`);
  return merged(
    object,
    names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Fields,
  );
}
