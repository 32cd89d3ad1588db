import { z } from 'zod';
import { Instant, JsonObject, Line, Uuid } from '../json.js';
import { LIMITS } from '../limits.js';
import { Memory } from '../events/session-origin.js';
import { Message } from '../messages.js';

/** An agent's external id, as a body names it. */
const AgentId = Line.min(1).max(LIMITS.agentId);

/** What whoever makes a session or an export calls it. */
const Label = Line.max(120);

/** Body of `POST /v1/sbp/sessions/{id}/export`. */
export const ExportRequest = z.object({
  ttl_seconds: z.int().min(60).max(604_800).default(86_400),
  label: Label.nullish(),
});
export type ExportRequest = Readonly<z.infer<typeof ExportRequest>>;

export const ExportResponse = z.object({
  export_id: Uuid,
  roaming_token: z.string(),
  session_id: Uuid,
  expires_at: Instant,
  bundle_hash: z.string(),
  bundle_cid: z.string(),
  message_count: z.int().min(0),
  label: z.string().nullable(),
});
export type ExportResponse = Readonly<z.infer<typeof ExportResponse>>;

/** One export as lists show it. */
export const ListedExport = z.object({
  export_id: Uuid,
  label: z.string().nullable(),
  created_at: Instant,
  expires_at: Instant,
  bundle_cid: z.string(),
  message_count: z.int().min(0),
  consumed: z.boolean(),
  consumed_at: Instant.nullable(),
  revoked_at: Instant.nullable(),
  /** The session that it was imported as. */
  imported_session_id: Uuid.nullable(),
  /** The public URL of the server that has imported it; null for this one. */
  imported_by: z.string().nullable(),
});
export type ListedExport = Readonly<z.infer<typeof ListedExport>>;

/** Query of `GET /v1/sbp/sessions/{id}/exports`: behind which export. */
export const ExportsQuery = z.object({
  after: Uuid.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** Answer of `GET /v1/sbp/sessions/{id}/exports`, newest first. */
export const ExportsResponse = z.object({
  session_id: Uuid,
  exports: z.array(ListedExport),
  next_cursor: Uuid.nullable(),
});
export type ExportsResponse = Readonly<z.infer<typeof ExportsResponse>>;

/** Answer of `GET /v1/sbp/token/{roaming_token}`. */
export const TokenInspection = z.object({
  export_id: Uuid,
  session_id: Uuid,
  label: z.string().nullable(),
  message_count: z.int().min(0),
  created_at: Instant,
  expires_at: Instant,
  consumed: z.boolean(),
  consumed_at: Instant.nullable(),
  imported_at: Instant.nullable(),
  revoked_at: Instant.nullable(),
});
export type TokenInspection = Readonly<z.infer<typeof TokenInspection>>;

/** Body of `POST /v1/sbp/sessions/import`. */
export const ImportRequest = z.object({
  roaming_token: z.string().min(1).max(8192),
  /** Whose session it is to be; by default that of the agent it was exported from. */
  target_agent_id: AgentId.nullish(),
  /** Leaves the token usable: the session is a copy beside others. */
  allow_reuse: z.boolean().default(false),
});
export type ImportRequest = Readonly<z.infer<typeof ImportRequest>>;

/** Where an imported session comes from. */
export const Provenance = z.object({
  session_id: Uuid,
  agent_id: z.string(),
  export_id: Uuid,
  /** The public URL of the server that it comes from; null for this one. */
  server: z.string().nullable(),
  label: z.string().nullable(),
});
export type Provenance = Readonly<z.infer<typeof Provenance>>;

/** Answer of `POST /v1/sbp/sessions/import`. */
export const ImportResponse = z.object({
  session_id: Uuid,
  new_session_id: Uuid,
  session_token: z.string(),
  agent_id: z.string(),
  step_count: z.int().min(0),
  message_count: z.int().min(0),
  messages_restored: z.int().min(0),
  origin_export_id: Uuid,
  provenance: Provenance,
});
export type ImportResponse = Readonly<z.infer<typeof ImportResponse>>;

/** Body of `POST /v1/sbp/sessions/{id}/handoff`. */
export const HandoffRequest = z.object({
  to_agent_id: AgentId,
  handoff_message: z.string().max(2000).nullish(),
  reason: z.string().max(500).nullish(),
});
export type HandoffRequest = Readonly<z.infer<typeof HandoffRequest>>;

/** Answer of `POST /v1/sbp/sessions/{id}/handoff`. */
export const HandoffResponse = z.object({
  source_session_id: Uuid,
  from_session_id: Uuid,
  new_session_id: Uuid,
  new_session_token: z.string(),
  session_token: z.string(),
  to_agent_id: z.string(),
  export_id: Uuid,
  origin_export_id: Uuid,
});
export type HandoffResponse = Readonly<z.infer<typeof HandoffResponse>>;

/** Body of `POST /v1/sbp/sessions/{id}/fork`; without a place it is the session's head. */
export const ForkRequest = z
  .object({
    label: Label.nullish(),
    /** After so many completed turns. */
    at_step: z.int().min(0).max(LIMITS.place).nullish(),
    at_snapshot: Uuid.nullish(),
  })
  .refine(({ at_step, at_snapshot }) => at_step == null || at_snapshot == null, {
    path: ['at_snapshot'],
    message: 'stands beside at_step: name one place',
  });
export type ForkRequest = Readonly<z.infer<typeof ForkRequest>>;

/** Answer of `POST /v1/sbp/sessions/{id}/fork`. */
export const ForkResponse = z.object({
  fork_session_id: Uuid,
  fork_session_token: z.string(),
  session_token: z.string(),
  fork_label: z.string().nullable(),
  origin_session_id: Uuid,
  fork_point_step: z.int().min(0),
  /** Messages before the fork. */
  fork_point_msg: z.int().min(0),
});
export type ForkResponse = Readonly<z.infer<typeof ForkResponse>>;

const Handoff = z.object({
  export_id: Uuid.nullable(),
  agent_id: z.string(),
  created_at: Instant,
});

/** Answer of `GET /v1/sbp/sessions/{id}/lineage`: each list has at most 1000 entries. */
export const LineageResponse = z.object({
  session_id: Uuid,
  exports: z.array(ListedExport),
  outgoing_handoffs: z.array(
    Handoff.extend({
      new_session_id: Uuid,
      handoff_message: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ),
  incoming_handoffs: z.array(Handoff.extend({ from_session_id: Uuid })),
  forks: z.array(
    z.object({
      fork_session_id: Uuid,
      fork_label: z.string().nullable(),
      fork_point_step: z.int().min(0),
      fork_point_msg: z.int().min(0),
      created_at: Instant,
    }),
  ),
  /** Null for a session that a request has opened. */
  origin: z
    .object({
      type: z.enum(['fork', 'import', 'handoff']),
      session_id: Uuid,
      agent_id: z.string(),
      export_id: Uuid.nullable(),
      server: z.string().nullable(),
      created_at: Instant,
    })
    .nullable(),
});
export type LineageResponse = Readonly<z.infer<typeof LineageResponse>>;

/** Body of `POST /v1/sbp/bundles/{cid}/consume`. */
export const ConsumeRequest = z.object({
  /** Of the import: the same again for the same one. */
  import_id: Uuid,
  /** The public URL of the server that imports. */
  server: z.string().max(2048).nullish(),
});
export type ConsumeRequest = Readonly<z.infer<typeof ConsumeRequest>>;

/** Answer of `POST /v1/sbp/bundles/{cid}/consume`. */
export const ConsumeResponse = z.object({ export_id: Uuid, consumed_at: Instant });
export type ConsumeResponse = Readonly<z.infer<typeof ConsumeResponse>>;

/** Answer of `GET /.well-known/sbp`: what another server must know of this one. */
export const ServerManifest = z.object({
  sbp_version: z.string(),
  sbp_level: z.string(),
  /** Its public URL, as its tokens say it. */
  issuer: z.string(),
  jwks_uri: z.string(),
  bundle_versions: z.array(z.string()),
  /** By which its tokens may be signed. */
  token_algorithms: z.array(z.string()),
  endpoints: z.record(z.string(), z.string()),
});
export type ServerManifest = Readonly<z.infer<typeof ServerManifest>>;

/** Claims of a roaming token. */
export const RoamingClaims = z.object({
  sub: Uuid,
  sid: Uuid,
  iat: z.int().min(0),
  exp: z.int().min(0),
  iss: z.string(),
  cid: z.string(),
});
export type RoamingClaims = Readonly<z.infer<typeof RoamingClaims>>;

/** A message of a bundle: as it stands in the conversation, with where it comes from. */
export const BundleMessage = Message.extend({
  model_used: z.string().nullable(),
  cost_usd: z.number().nullable(),
  created_at: Instant,
});
export type BundleMessage = Readonly<z.infer<typeof BundleMessage>>;

/** Turns and messages of a bundle: the conversation must still be able to go on behind them. */
const bundleCount = z.int().min(0).max(LIMITS.bundleCount);

/** A session's exported state; its address is the SHA-256 of its canonical JSON (RFC 8785). */
export const Bundle = z.object({
  sbp_version: z.literal('1.0'),
  exported_at: Instant,
  label: Label.nullable(),
  session: z.object({
    id: Uuid,
    agent_external_id: AgentId,
    status: z.string(),
    last_task: z.string().nullable(),
    created_at: Instant,
    step_count: bundleCount,
  }),
  messages: z.array(BundleMessage),
  memory: Memory.nullable(),
  state_snapshot: JsonObject.nullable(),
  metadata: z.object({
    export_id: Uuid,
    message_count: bundleCount,
    total_cost_usd: z.number().min(0).nullable(),
  }),
});
export type Bundle = Readonly<z.infer<typeof Bundle>>;
