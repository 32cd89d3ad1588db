import { z } from 'zod';

/** Any JSON object whose fields this project does not need to know. */
export const JsonObject = z.record(z.string(), z.unknown());
export type JsonObject = Readonly<z.infer<typeof JsonObject>>;

/** A UUID of any version or variant, as ids of sessions, turns, snapshots and exports are. */
export const Uuid = z.guid('is not a UUID');

/** An ISO 8601 instant in UTC, for example `2026-05-10T15:05:00.000Z`. */
export const Instant = z.iso.datetime();

/** Whether `text` is a UUID; what is none can name no session. */
export function isUuid(text: string): boolean {
  return Uuid.safeParse(text).success;
}
