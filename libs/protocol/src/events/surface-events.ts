import { z } from 'zod';
import { SurfaceContext, ToolSchemas } from '../frames/surface-context.js';
import { Uuid } from '../json.js';
import { ProcessAddress, free } from './envelope.js';

export const SurfaceAttached = free(
  'surface.attached',
  z.object({
    attach_id: Uuid,
    gateway: ProcessAddress,
    /** Without what it says of its tools but for their names. */
    context: SurfaceContext,
  }),
).extend({ content: z.object({ tool_schemas: ToolSchemas }).optional() });

export const SurfaceDetached = free(
  'surface.detached',
  z.object({
    attach_id: Uuid,
    reason: z.enum([
      'detach',
      'closed',
      'unresponsive',
      'refused',
      'shutdown',
      'gateway_lost',
      'finished',
    ]),
  }),
);

export const SurfaceAcknowledged = free(
  'surface.acknowledged',
  z.object({ attach_id: Uuid, /** All turns up to it were read. */ seq: z.int().min(1) }),
);
