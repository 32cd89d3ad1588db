export { AnalyticsModule } from './analytics.module.js';
export { analyticsSchema } from './tables.js';
