import { z } from 'zod';

/** Any JSON object whose fields this project does not need to know. */
export const JsonObject = z.record(z.string(), z.unknown());
export type JsonObject = Readonly<z.infer<typeof JsonObject>>;

/** A UUID of any version or variant, as ids of sessions, turns, snapshots and exports are. */
export const Uuid = z.guid('is not a UUID');

/** An ISO 8601 instant in UTC, for example `2026-05-10T15:05:00.000Z`. */
export const Instant = z.iso.datetime();

/** Text of one line: it may stand in a header, and Postgres stores it, unlike one with a NUL. */
export const Line = z
  .string()
  // eslint-disable-next-line no-control-regex -- these are what it is without.
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'has control characters');

/** Whether lists and objects are nested in more than `levels` in it. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  let layer: readonly unknown[] = [value];
  for (let level = 0; level <= levels; level++) {
    layer = layer.flatMap((each): readonly unknown[] =>
      typeof each === 'object' && each !== null ? Object.values(each) : [],
    );
    if (layer.length === 0) return false;
  }
  return true;
}

/** Whether `text` is a UUID; what is none can name no session. */
export function isUuid(text: string): boolean {
  return Uuid.safeParse(text).success;
}
