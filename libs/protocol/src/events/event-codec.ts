import { z } from 'zod';
import type { JsonObject } from '../json.js';
import { isUuid } from '../json.js';
import { LogEvent } from './log-event.js';

/**
 * Why a record is no event that can be folded [A12]. `optional`: its writer allows that readers
 * who do not know it pass it over.
 */
type UnreadReason = 'malformed' | 'unknown_type' | 'unknown_schema' | 'optional';

export interface Unread {
  readonly reason: UnreadReason;
  /** For an operator: places and kinds of faults, and nothing of what is written there. */
  readonly detail: string;
}

export type DecodedEvent =
  { readonly type: 'event'; readonly event: LogEvent } | ({ readonly type: 'unread' } & Unread);

/** A record of the log as it stands there, and as this version reads it. */
export type ReadRecord = {
  /** What it is keyed by: the id of its session. */
  readonly key: string;
  readonly text: string;
} & (
  | { readonly event: LogEvent; readonly unread: null }
  | { readonly event: null; readonly unread: Unread }
);

/** Makes of an event of an older version one of the next. */
export interface Upcast {
  readonly type: string;
  readonly schema: number;
  readonly up: (event: JsonObject) => JsonObject;
}

/** The schemas of all events, as a union by `type`. */
interface EventSchemas {
  readonly options: readonly { readonly shape: { readonly type: { readonly value: string } } }[];
  safeParse(value: unknown): z.ZodSafeParseResult<unknown>;
}

/** More follow on one another only where an upcast leads back to its own version. */
const MOST_UPCASTS = 32;
const MOST_FAULTS = 4;
const LONGEST_NAME = 64;

const Head = z.looseObject({ type: z.string(), schema: z.int(), optional: z.unknown().optional() });

/**
 * Reads the records of the log, as written by this version or an older one: an older event is
 * upcast step by step until the schemas take it. What a later version wrote is told as unread.
 */
export class EventCodec {
  private readonly upcasts: ReadonlyMap<string, Upcast>;
  private readonly known: ReadonlySet<string>;

  /** @param schema of all events as of this version */
  constructor(
    private readonly schema: EventSchemas,
    upcasts: readonly Upcast[],
  ) {
    this.upcasts = new Map(upcasts.map((upcast) => [versionName(upcast), upcast]));
    this.known = new Set(schema.options.map((option) => option.shape.type.value));
  }

  decode(text: string): DecodedEvent {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      // What the parser says quotes the text.
      return unread('malformed', `not JSON, ${text.length} characters long`);
    }
    const parsed = this.schema.safeParse(json);
    if (parsed.success) return { type: 'event', event: parsed.data as LogEvent };
    const head = Head.safeParse(json);
    if (!head.success) return unread('malformed', faultsOf(head.error));
    return this.decodeOlder(head.data) ?? this.judge(head.data, parsed.error);
  }

  /** Reads a record by its key, which says whose it is. */
  read(key: string, text: string): ReadRecord {
    const decoded = this.decode(text);
    if (decoded.type === 'unread') {
      const { reason, detail } = decoded;
      return { key, text, event: null, unread: { reason, detail } };
    }
    const { event } = decoded;
    if (event.session_id === key) return { key, text, event, unread: null };
    // Its order among the events of that session is not known.
    const detail = 'session_id is not the key of the record';
    return { key, text, event: null, unread: { reason: 'malformed', detail } };
  }

  /** Null where this version has no upcast of it. */
  private decodeOlder(written: Head): DecodedEvent | null {
    let event = written;
    for (let steps = 0; steps < MOST_UPCASTS; steps++) {
      const upcast = this.upcasts.get(versionName(event));
      if (upcast === undefined) break;
      try {
        event = Head.parse(upcast.up(event));
      } catch {
        return unread('malformed', `its upcast from schema ${upcast.schema} failed`);
      }
    }
    if (event === written) return null;
    const parsed = this.schema.safeParse(event);
    if (parsed.success) return { type: 'event', event: parsed.data as LogEvent };
    return unread('malformed', `once upcast, ${faultsOf(parsed.error)}`);
  }

  private judge({ type, schema, optional }: Head, error: z.ZodError): DecodedEvent {
    const isKnown = this.known.has(type);
    // The schema's number is wrong itself, so what else is wrong says nothing.
    const isOtherVersion = error.issues.some(({ path }) => path[0] === 'schema');
    if (isKnown && !isOtherVersion) return unread('malformed', faultsOf(error));
    const detail = `${shortened(type)}, schema ${schema}`;
    if (optional === true) return unread('optional', detail);
    return unread(isKnown ? 'unknown_schema' : 'unknown_type', detail);
  }
}

type Head = z.infer<typeof Head>;

/** As this version reads events. No version was released, so there is nothing to upcast. */
export const eventCodec = new EventCodec(LogEvent, []);

/** The id and the type that a record has, as far as it is one. */
export function eventNameOf(text: string): {
  readonly id: string | null;
  readonly type: string | null;
} {
  try {
    const json = Named.parse(JSON.parse(text));
    const { id, type } = json;
    return {
      id: typeof id === 'string' && isUuid(id) ? id : null,
      type: typeof type === 'string' ? shortened(type) : null,
    };
  } catch {
    return { id: null, type: null };
  }
}

const Named = z.looseObject({ id: z.unknown().optional(), type: z.unknown().optional() });

function unread(reason: UnreadReason, detail: string): DecodedEvent {
  return { type: 'unread', reason, detail };
}

function versionName({ type, schema }: Pick<Upcast, 'type' | 'schema'>): string {
  return `${type} ${schema}`;
}

/** A name that came from outside: no control character, and not long. */
function shortened(name: string): string {
  return name.slice(0, LONGEST_NAME).replaceAll(/[^\w.-]/g, '?');
}

/** Where a schema does not fit, and how; no value, and no name that a person chose. */
function faultsOf({ issues }: z.ZodError): string {
  const shown = issues.slice(0, MOST_FAULTS).map(({ path, code }) => {
    const place = path.map((step) =>
      typeof step === 'number' ? String(step) : /^[a-z_]{1,32}$/.test(String(step)) ? step : '?',
    );
    return `${place.length === 0 ? 'the event' : place.join('.')}: ${code}`;
  });
  const more = issues.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join('; ');
}
