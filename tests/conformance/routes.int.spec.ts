import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RequestMethod } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROUTES, SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import { createService, parseSettings } from '#libs/runtime';
import type { ServiceSpec, Settings } from '#libs/runtime';
import { analyticsService } from '../../apps/analytics/src/service.js';
import { auditService } from '../../apps/audit/src/service.js';
import { completionsService } from '../../apps/completions/src/service.js';
import { gatewayService } from '../../apps/gateway/src/service.js';
import { roamingService } from '../../apps/roaming/src/service.js';
import { sessionsService } from '../../apps/sessions/src/service.js';

const SPECS: Readonly<Record<ServiceName, (settings: Settings) => ServiceSpec>> = {
  completions: completionsService,
  sessions: sessionsService,
  gateway: gatewayService,
  roaming: roamingService,
  audit: auditService,
  analytics: analyticsService,
};

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'statebridge-routes-'));
});

afterEach(async () => {
  await rm(dataDir, { recursive: true, force: true });
});

/** What Nest serves: routes of controllers and upgrades of gateways, as `GET /path/{name}`. */
async function servedBy(service: ServiceName): Promise<readonly string[]> {
  const settings = parseSettings({ SBP_DATA_DIR: dataDir, SBP_LOG_LEVEL: 'silent' });
  const app = await createService(SPECS[service](settings), settings, () => 'http://localhost');
  try {
    const modules = [...app.get(ModulesContainer).values()];
    return modules.flatMap(({ controllers, providers }) => [
      ...[...controllers.values()].flatMap(({ metatype }) =>
        typeof metatype === 'function' ? routesOf(metatype) : [],
      ),
      ...[...providers.values()].flatMap(({ metatype }) =>
        typeof metatype === 'function' ? upgradesOf(metatype) : [],
      ),
    ]);
  } finally {
    await app.close();
  }
}

function routesOf(controller: object & { readonly prototype?: object }): string[] {
  const prototype = controller.prototype ?? {};
  return Object.values(Object.getOwnPropertyDescriptors(prototype)).flatMap(({ value }) => {
    if (typeof value !== 'function') return [];
    const handler = value as object;
    const method = Reflect.getMetadata('method', handler) as RequestMethod | undefined;
    if (method === undefined) return [];
    return textsOf(Reflect.getMetadata('path', controller)).flatMap((prefix) =>
      textsOf(Reflect.getMetadata('path', handler)).map(
        (suffix) => `${RequestMethod[method]} ${template(prefix, suffix)}`,
      ),
    );
  });
}

function upgradesOf(provider: object): string[] {
  const gateway = Reflect.getMetadata('websockets:gateway_options', provider) as
    { readonly path?: string } | undefined;
  return gateway?.path === undefined ? [] : [`GET ${template(gateway.path)}`];
}

function textsOf(path: unknown): readonly string[] {
  return Array.isArray(path) ? (path as string[]) : [String(path)];
}

function template(...parts: readonly string[]): string {
  const segments = parts.flatMap((part) => part.split('/')).filter((segment) => segment !== '');
  return `/${segments.map((each) => each.replace(/^:(.+)$/, '{$1}').replace(/^\*$/, '{*path}')).join('/')}`;
}

describe('the route table', () => {
  it.each(SERVICES)('names exactly what %s serves', async (name) => {
    const listed = ROUTES.filter(({ service }) => service === name || service === 'all');
    expect((await servedBy(name)).toSorted()).toEqual(
      listed.map(({ method, path: route }) => `${method} ${route}`).toSorted(),
    );
  });
});
