import { describe, expect, it } from 'vitest';
import { HttpMetrics } from './http-metrics.js';
import { METRICS } from './metric-table.js';
import { Metrics } from './metrics.js';
import { ConsumerLagMetrics } from './consumer-lag-metrics.js';
import type { Standing } from './consumer-lag-metrics.js';
import { ProjectionMetrics } from './projection-metrics.js';
import type { EndedTurn } from './turn-metrics.js';
import { TurnMetrics } from './turn-metrics.js';

/** What a scrape shows, by name and labels. */
async function shown(metrics: Metrics): Promise<Readonly<Record<string, number>>> {
  const lines = (await metrics.text()).split('\n').filter((line) => !/^(#|$)/.test(line));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

const TURN: EndedTurn = {
  status: 'completed',
  entry: 'at-once',
  model: 'm',
  waitedMs: 0,
  firstTokenMs: 20,
  modelMs: 30,
  totalMs: 40,
  promptTokens: 5,
  completionTokens: 7,
  costUsd: 0.5,
};

describe('the table of metrics', () => {
  it('names them as Prometheus asks, and has no label for ids, principals or agents', () => {
    for (const [name, { type, labels }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^(sbp|process|nodejs)_[a-z_]+$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      for (const label of labels) {
        expect(label).toMatch(
          /^(route|method|status|entry|kind|model|outcome|reason|consumer|partition|quantile)$/,
        );
      }
    }
  });
});

describe('turns', () => {
  it('are counted by how they came in and ended, and timed in seconds', async () => {
    const metrics = new Metrics();
    const turns = new TurnMetrics(metrics);
    turns.begun();
    turns.begun();
    turns.ended(TURN);
    const all = await shown(metrics);
    expect(all).toMatchObject({
      'sbp_turns_total{status="completed",entry="at-once"}': 1,
      sbp_turns_running: 1,
      'sbp_turn_duration_seconds_sum{entry="at-once"}': 0.04,
      sbp_turn_first_token_seconds_count: 1,
      sbp_turn_queue_wait_seconds_count: 0,
      'sbp_tokens_total{kind="prompt",model="m"}': 5,
      'sbp_tokens_total{kind="completion",model="m"}': 7,
      'sbp_cost_usd_total{model="m"}': 0.5,
    });
  });

  it('tell 50 models apart, however many there are', async () => {
    const metrics = new Metrics();
    const turns = new TurnMetrics(metrics);
    for (let n = 0; n < 60; n++) turns.stated({ ...TURN, model: `m-${n}` });
    const models = Object.keys(await shown(metrics)).filter((each) => each.startsWith('sbp_cost'));
    expect(models).toHaveLength(51);
    expect(models).toContain('sbp_cost_usd_total{model="other"}');
  });
});

describe('HTTP requests', () => {
  it('are counted by the pattern of their route, never by a path', async () => {
    const metrics = new Metrics();
    const http = new HttpMetrics(metrics);
    for (const route of ['/v1/sbp/sessions/:session_id', '/v1/*', undefined]) {
      http.begun();
      http.ended(route, route === undefined ? 'BREW' : 'GET', 404, 10);
    }
    expect(Object.keys(await shown(metrics))).toEqual(
      expect.arrayContaining([
        'sbp_http_requests_total{route="/v1/sbp/sessions/{session_id}",method="GET",status="4xx"}',
        'sbp_http_requests_total{route="/v1/{*path}",method="GET",status="4xx"}',
        'sbp_http_requests_total{route="none",method="other",status="4xx"}',
      ]),
    );
    expect(await shown(metrics)).toMatchObject({ sbp_http_requests_in_flight: 0 });
  });
});

describe('the lag of the consumers', () => {
  it('is asked at scrapes only, and its age is that of the oldest record seen', async () => {
    const metrics = new Metrics();
    let asked = 0;
    let standings: readonly Standing[] = [];
    const lag = new ConsumerLagMetrics(metrics, () => {
      asked += 1;
      return Promise.resolve(standings);
    });
    expect([lag, asked]).toEqual([lag, 0]);
    const [fold, audit] = [{ consumer: 'projector' }, { consumer: 'audit' }];
    standings = [
      { ...fold, partition: 0, end: 5, position: 5 },
      { ...fold, partition: 1, end: 9, position: 2 },
      { ...audit, partition: 1, end: 9, position: 9 },
    ];
    await metrics.text();
    // At the second look the records of the first are still not read.
    const all = await shown(metrics);
    expect(asked).toBe(2);
    expect(all).toMatchObject({
      'sbp_consumer_lag_records{consumer="projector",partition="0"}': 0,
      'sbp_consumer_lag_records{consumer="projector",partition="1"}': 7,
      'sbp_consumer_lag_records{consumer="audit",partition="1"}': 0,
      'sbp_consumer_lag_seconds{consumer="projector",partition="0"}': 0,
      'sbp_consumer_lag_seconds{consumer="audit",partition="1"}': 0,
    });
    const seconds = 'sbp_consumer_lag_seconds{consumer="projector",partition="1"}';
    expect(all[seconds]).toBeGreaterThan(0);
    standings = [{ ...fold, partition: 1, end: 12, position: 9 }];
    expect((await shown(metrics))[seconds]).toBe(0);
  });
});

describe('the metrics of the fold', () => {
  it('count records, sessions that wait and those that are quarantined', async () => {
    const metrics = new Metrics();
    const sources = { waiting: () => Promise.resolve(4), quarantined: () => Promise.resolve(2) };
    new ProjectionMetrics(metrics, sources).folded(3);
    expect(await shown(metrics)).toMatchObject({
      sbp_folded_records_total: 3,
      sbp_sessions_quarantined: 2,
      sbp_sessions_waiting: 4,
    });
  });

  it('have no value that cannot be asked, and keep the others', async () => {
    const metrics = new Metrics();
    const fold = new ProjectionMetrics(metrics, {
      waiting: () => Promise.reject(new Error('the database is away')),
      quarantined: () => Promise.resolve(0),
    });
    fold.folded(1);
    const all = await shown(metrics);
    expect(Object.keys(all)).not.toContain('sbp_sessions_waiting');
    expect(all['sbp_sessions_quarantined']).toBe(0);
  });
});
