export { AnalyticsModule } from './analytics.module.js';
export { ANALYTICS, UsageFold } from './fold/usage-fold.js';
export { analyticsSchema } from './tables.js';
