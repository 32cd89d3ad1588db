export { AuditModule } from './audit.module.js';
export { AUDIT_TABLES, auditSchema } from './tables.js';
export { auditRecord } from './http/audit.controller.js';
export { Seals } from './trail/seals.js';
export { TrailReads } from './trail/trail-reads.js';
export type { TrailFilter } from './trail/trail-reads.js';
export { verifyTrail } from './verify/verification.js';
export type { Verdict } from './verify/verification.js';
export { verdictText } from './verify/verdict-text.js';
