import { Ajv } from 'ajv';
import schemas from '@asyncapi/specs';
import { describe, expect, it } from 'vitest';
import { LogEvent } from '#libs/protocol';
import { textOf } from './repository.js';

interface Document {
  readonly channels: { readonly turns: { readonly messages: Readonly<Record<string, unknown>> } };
  readonly components: {
    readonly messages: Readonly<
      Record<
        string,
        { readonly name: string; readonly payload: { readonly schema: { readonly $ref: string } } }
      >
    >;
  };
}

describe('docs/reference/asyncapi.json', () => {
  const document = JSON.parse(textOf('docs/reference/asyncapi.json')) as Document;

  it('is a document of AsyncAPI 3.0, by its own JSON Schema', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: false });
    const validate = ajv.compile(schemas.schemasWithoutId['3.0.0'] as object);
    expect([validate(document), validate.errors]).toEqual([true, null]);
    expect(validate({ ...document, channels: 'none' })).toBe(false);
  });

  it('has a message for each event of the log, whose schema is there', () => {
    const types = LogEvent.options.map(({ shape }) => shape.type.value).toSorted();
    const messages = Object.values(document.components.messages);
    expect(messages.map(({ name }) => name).toSorted()).toEqual(types);
    expect(Object.keys(document.channels.turns.messages)).toHaveLength(types.length);
    const { $defs: defined } = JSON.parse(textOf('docs/reference/log-events.schema.json')) as {
      readonly $defs: object;
    };
    for (const { name, payload } of messages) {
      expect(payload.schema.$ref).toBe(`./log-events.schema.json#/$defs/${name}`);
      expect(defined).toHaveProperty([name]);
    }
  });
});
