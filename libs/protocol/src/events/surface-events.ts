import { z } from 'zod';
import { SurfaceContext } from '../frames/surface-context.js';
import { Uuid } from '../json.js';
import { ProcessAddress, free } from './envelope.js';

export const SurfaceAttached = free(
  'surface.attached',
  z.object({ attach_id: Uuid, gateway: ProcessAddress, context: SurfaceContext }),
);

export const SurfaceDetached = free(
  'surface.detached',
  z.object({
    attach_id: Uuid,
    reason: z.enum(['detach', 'closed', 'unresponsive', 'refused', 'shutdown', 'gateway_lost']),
  }),
);

export const SurfaceAcknowledged = free(
  'surface.acknowledged',
  z.object({ attach_id: Uuid, /** All turns up to it were read. */ seq: z.int().min(1) }),
);
