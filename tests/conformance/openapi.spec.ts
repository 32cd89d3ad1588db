import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { ROUTES, openApiDocument } from '#libs/protocol';

describe('the OpenAPI document', () => {
  const document = openApiDocument();

  it('is one of OpenAPI 3.1, with every reference in it', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(document));
    expect(errors ?? []).toEqual([]);
    expect([valid, validator.version]).toEqual([true, '3.1']);
    const text = JSON.stringify(document);
    const { schemas } = document['components'] as { readonly schemas: object };
    const used = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
    expect(used.length).toBeGreaterThan(20);
    expect(used.filter((name) => !Object.hasOwn(schemas, name ?? ''))).toEqual([]);
  });

  it('describes every route of the table, and no other', () => {
    const paths = document['paths'] as Readonly<Record<string, Record<string, unknown>>>;
    const described = Object.entries(paths).flatMap(([path, of]) =>
      Object.keys(of).map((method) => `${method} ${path}`),
    );
    const routes = ROUTES.map(({ method, path }) =>
      method === 'ALL' ? 'get /v1/models' : `${method.toLowerCase()} ${path}`,
    );
    expect(described.sort()).toEqual(routes.sort());
  });
});
