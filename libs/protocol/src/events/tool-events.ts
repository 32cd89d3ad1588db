import { z } from 'zod';
import { JsonObject, Uuid } from '../json.js';
import { Message } from '../messages.js';
import { ProcessAddress, free, ownedTurn } from './envelope.js';
import { OnSurfaceLost } from './tool-policy.js';
import { Usage } from './turn-events.js';

/**
 * What came of a call of a tool. `timeout` and `cancelled`: nothing came of it; `denied`: nobody
 * was asked, because a human did not allow it.
 */
export const ToolOutcome = z.enum(['result', 'error', 'timeout', 'cancelled', 'denied']);
export type ToolOutcome = z.infer<typeof ToolOutcome>;

/** How many calls of one answer are told of, made or refused. */
export const MAX_CALLS = 1_024;

/**
 * A model has called tools of the surface: one round of a turn. It is in the log before any call
 * leaves [A18].
 */
export const ToolsCalled = ownedTurn(
  'tools.called',
  z.object({
    /** Position among the rounds of the turn, from 1. */
    round: z.int().min(1),
    /** In the order in which the model made them. */
    calls: z
      .array(
        z.object({
          call_id: Uuid,
          /** Null where it is not sent, and was answered here. */
          tool: z
            .object({
              /** As the surface knows it. */
              name: z.string(),
              /** How long the surface may take. */
              timeout_ms: z.int().min(1),
              /** Whether a human must allow it before it leaves. */
              needs_approval: z.boolean(),
            })
            .nullable(),
        }),
      )
      .min(1)
      .max(MAX_CALLS),
    /** What becomes of calls whose surface has gone [A18]. */
    on_surface_lost: OnSurfaceLost,
    /** How long a call waits for an approval, or for a device that has its tool. */
    wait_ms: z.int().min(1),
    /** How many bytes what the calls return may have together, as JSON. */
    result_bytes: z.int().min(0),
    /** Whether the model is shown images that tools return. */
    shows_images: z.boolean(),
    usage: Usage.nullable(),
    cost_usd: z.number().min(0).nullable(),
  }),
).extend({
  content: z.object({
    /** What the model said, with these calls alone. */
    message: Message,
    calls: z.array(
      z.object({
        /** As the surface knows it. */
        tool_name: z.string(),
        tool_input: JsonObject,
        /** Why it is not sent, as the model is told. */
        refusal: z.string().optional(),
      }),
    ),
  }),
});

/**
 * A client of MCP has called a tool of the surface. It counts while the attachment is there that it
 * names, which is called.
 */
export const ToolCalled = free(
  'tool.called',
  z.object({
    call_id: Uuid,
    attach_id: Uuid,
    /** As the surface knows it. */
    tool_name: z.string(),
    /** How long the surface may take. */
    timeout_ms: z.int().min(1),
    /** Who waits for the outcome. */
    caller: ProcessAddress,
  }),
).extend({ content: z.object({ tool_input: JsonObject }) });

/**
 * The first one of a call is its outcome [A18]; an error where its round may not return so many
 * bytes.
 */
export const ToolReturned = free(
  'tool.returned',
  z.object({
    call_id: Uuid,
    outcome: ToolOutcome,
    /** Of the result or the error, as JSON. */
    bytes: z.int().min(0),
  }),
).extend({
  content: z.object({
    /** Any JSON; of a `result`. */
    result: z.unknown().optional(),
    /** Of an `error`. */
    error: z.string().optional(),
  }),
});

/** A human has decided about a call that waited for it; the first decision counts. */
export const ToolDecided = free(
  'tool.decided',
  z.object({ call_id: Uuid, approved: z.boolean() }),
).extend({
  content: z.object({
    /** Why, as the model is told where the call was denied. */
    reason: z.string().optional(),
  }),
});
