import { textOf } from '../conformance/repository.js';
import type { Fields } from './documents.js';

/** The job that the metrics of a service get by these rules for a label of its targets. */
export function jobOf(rules: readonly Fields[], service: string): string {
  const rule = rules.find((each) => (each['target_label'] ?? each['targetLabel']) === 'job');
  if (rule === undefined) throw new Error('no rule makes the job');
  return String(rule['replacement']).replace('$1', service);
}

/** Whether every alert rule that asks for jobs takes this one. */
export function isJobOfAlerts(job: string): boolean {
  const wanted = [...textOf('deploy/prometheus/alerts.yml').matchAll(/job=~"([^"]+)"/g)];
  if (wanted.length === 0) throw new Error('no alert rule asks for a job');
  return wanted.every(([, pattern = '']) => new RegExp(`^(?:${pattern})$`).test(job));
}
