import { AuditModule, auditSchema } from '#libs/audit';
import type { ServiceSpec } from '#libs/runtime';

/** Audit: keeps the trail of the log, and shows it to operators. */
export function auditService(): ServiceSpec {
  return {
    name: 'audit',
    reads: true,
    tables: auditSchema,
    modules: ({ secret }) => [AuditModule.register(secret)],
  };
}
