import { parser } from '@prometheus-io/lezer-promql';
import { parse as parseYaml } from 'yaml';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { METRICS } from '#libs/telemetry';
import { textOf } from './repository.js';

const Dashboard = z.object({
  title: z.string().min(1),
  uid: z.string().min(1),
  templating: z.object({ list: z.array(z.object({ name: z.string(), type: z.string() })) }),
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string(),
      datasource: z.object({ uid: z.string() }).optional(),
      targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).default([]),
    }),
  ),
});

const Rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.object({ severity: z.enum(['critical', 'warning']) }),
          annotations: z.object({ summary: z.string(), description: z.string() }),
        }),
      ),
    }),
  ),
});

/** What Prometheus itself says of each target that it scrapes. */
const OF_PROMETHEUS = { metrics: ['up'], labels: ['job', 'instance'] };
/** What a histogram's metric becomes. */
const PARTS = ['_bucket', '_sum', '_count'];

const dashboard = Dashboard.parse(JSON.parse(textOf('deploy/grafana/dashboards/statebridge.json')));
const { groups } = Rules.parse(parseYaml(textOf('deploy/prometheus/alerts.yml')));
const targets = dashboard.panels.flatMap((panel) => panel.targets);
const rules = groups.flatMap((group) => group.rules);

/** The table's name for a name of an expression; null where it has none. */
function specOf(name: string): (typeof METRICS)[keyof typeof METRICS] | null {
  const known = METRICS as Readonly<Record<string, (typeof METRICS)[keyof typeof METRICS]>>;
  const [direct] = [known[name]].filter((spec) => spec?.type !== 'histogram');
  if (direct !== undefined) return direct;
  const part = PARTS.find((each) => name.endsWith(each));
  const whole = part === undefined ? undefined : known[name.slice(0, -part.length)];
  return whole?.type === 'histogram' ? whole : null;
}

interface Names {
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
  /** What is no PromQL. */
  readonly errors: readonly string[];
}

function namesIn(expression: string): Names {
  // Grafana puts a duration there.
  const text = expression.replaceAll('$__rate_interval', '5m');
  const found = { metrics: new Set<string>(), labels: new Set<string>(), errors: [] as string[] };
  parser.parse(text).iterate({
    enter: ({ type, from, to, node }) => {
      const word = text.slice(from, to);
      if (type.isError) found.errors.push(`at ${from}: ${word}`);
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector') {
        found.metrics.add(word);
      }
      if (type.name === 'LabelName') found.labels.add(word);
    },
  });
  return { metrics: [...found.metrics], labels: [...found.labels], errors: found.errors };
}

/** What an expression names that no process shows. */
function unknownIn(expression: string): readonly string[] {
  const { metrics, labels, errors } = namesIn(expression);
  const ours = metrics.filter((name) => !OF_PROMETHEUS.metrics.includes(name));
  const known = ours.flatMap((name): readonly string[] => specOf(name)?.labels ?? []);
  const isHistogram = ours.some((name) => specOf(name)?.type === 'histogram');
  const allowed = [...known, ...OF_PROMETHEUS.labels, ...(isHistogram ? ['le'] : [])];
  return [
    ...errors,
    ...(metrics.length === 0 ? ['no metric at all'] : []),
    ...ours.filter((name) => specOf(name) === null),
    ...labels.filter((label) => !allowed.includes(label)),
  ];
}

describe('the reader of PromQL', () => {
  it('finds metrics and labels, and what no process shows', () => {
    expect(namesIn('sum by (route) (rate(a_total{b="c"}[5m])) / on (x) d')).toMatchObject({
      metrics: ['a_total', 'd'],
      labels: ['route', 'b', 'x'],
    });
    const wrong = 'sum by (agent) (rate(sbp_turns_total[5m])) + sbp_turn_duration_seconds';
    expect(unknownIn(wrong)).toEqual(['sbp_turn_duration_seconds', 'agent']);
    expect(unknownIn('sum(rate(sbp_turns_total[5m])')).not.toEqual([]);
  });
});

// [SBP-OPS-22]
describe('the dashboard and the alert rules', () => {
  it('ask for metrics and labels of the table alone', () => {
    const expressions = [...targets, ...rules].map(({ expr }) => expr);
    expect(expressions.length).toBeGreaterThan(50);
    const wrong = expressions.map((expr) => [expr, unknownIn(expr)] as const);
    expect(wrong.filter(([, unknown]) => unknown.length > 0)).toEqual([]);
  });

  it('leave out no metric of the table', () => {
    const asked = new Set([...targets, ...rules].flatMap(({ expr }) => namesIn(expr).metrics));
    const parts = (name: string) => [name, ...PARTS.map((part) => `${name}${part}`)];
    const absent = Object.keys(METRICS).filter(
      (name) => !parts(name).some((each) => asked.has(each)),
    );
    expect(absent).toEqual([]);
  });

  it('name in legends and texts only labels that the expression keeps', () => {
    const legends = targets.map(({ expr, legendFormat }) => [expr, legendFormat] as const);
    const texts = rules.map(({ expr, annotations }) => {
      return [expr, `${annotations.summary} ${annotations.description}`] as const;
    });
    const wrong = [...legends, ...texts].filter(([expr, text]) =>
      [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].some(([, label = '']) => {
        const kept = [
          ...namesIn(expr).labels,
          ...(/\bby\b/.test(expr) ? [] : OF_PROMETHEUS.labels),
        ];
        return !kept.includes(label);
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('can be read by Grafana and Prometheus: sources by a variable, each panel and rule once', () => {
    const variables = dashboard.templating.list;
    expect(variables).toMatchObject([{ name: 'datasource', type: 'datasource' }, { name: 'job' }]);
    const drawn = dashboard.panels.filter((panel) => panel.targets.length > 0);
    expect(drawn.every(({ datasource }) => datasource?.uid === '${datasource}')).toBe(true);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const alerts = rules.map(({ alert }) => alert);
    expect(new Set(alerts).size).toBe(alerts.length);
    expect(alerts.every((alert) => /^StateBridge[A-Z]\w+$/.test(alert))).toBe(true);
  });
});

describe('docs/operations.md', () => {
  it('says of every metric what it is', () => {
    const text = textOf('docs/operations.md');
    expect(Object.keys(METRICS).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
