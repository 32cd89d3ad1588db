import { Ajv } from 'ajv';
import schemas from '@asyncapi/specs';
import { describe, expect, it } from 'vitest';
import { ClientFrame, LogEvent, ROUTES, ServerFrame } from '#libs/protocol';
import { textOf } from './repository.js';

interface Reference {
  readonly $ref: string;
}

interface Channel {
  readonly address: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly messages: Readonly<Record<string, Reference>>;
}

interface Document {
  readonly channels: { readonly turns: Channel; readonly surfaces: Channel };
  readonly operations: Readonly<
    Record<
      string,
      {
        readonly action: string;
        readonly channel: Reference;
        readonly messages?: readonly Reference[];
      }
    >
  >;
  readonly components: {
    readonly messages: Readonly<
      Record<string, { readonly name: string; readonly payload: { readonly schema: Reference } }>
    >;
  };
}

const typesOf = (union: typeof LogEvent | typeof ClientFrame | typeof ServerFrame): string[] =>
  union.options.map(({ shape }) => shape.type.value).toSorted();
const definedIn = (file: string): object =>
  (JSON.parse(textOf(`docs/reference/${file}`)) as { readonly $defs: object }).$defs;

describe('docs/reference/asyncapi.json', () => {
  const document = JSON.parse(textOf('docs/reference/asyncapi.json')) as Document;
  const { channels, operations, components } = document;

  /** The names of a channel's messages, whose schemas must be in this file. */
  function messagesOf(channel: Channel, file: string): string[] {
    const defined = definedIn(file);
    return Object.values(channel.messages)
      .map(({ $ref }) => {
        const message = components.messages[$ref.replace('#/components/messages/', '')];
        const name = message?.name ?? `nothing at ${$ref}`;
        expect(message?.payload.schema.$ref).toBe(`./${file}#/$defs/${name}`);
        expect(defined).toHaveProperty([name]);
        return name;
      })
      .toSorted();
  }

  it('is a document of AsyncAPI 3.0, by its own JSON Schema', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: false });
    const validate = ajv.compile(schemas.schemasWithoutId['3.0.0'] as object);
    expect([validate(document), validate.errors]).toEqual([true, null]);
    expect(validate({ ...document, channels: 'none' })).toBe(false);
  });

  it('has a message for each event of the log, whose schema is there', () => {
    expect(messagesOf(channels.turns, 'log-events.schema.json')).toEqual(typesOf(LogEvent));
  });

  it('has a message for each frame of a surface and of the server, at the path of the WebSocket', () => {
    const frames = [...typesOf(ClientFrame), ...typesOf(ServerFrame)].toSorted();
    expect([typesOf(ClientFrame).length, typesOf(ServerFrame).length]).toEqual([4, 9]);
    expect(messagesOf(channels.surfaces, 'frames.schema.json')).toEqual(frames);
    const { address, parameters } = channels.surfaces;
    expect(ROUTES.map(({ path }) => path)).toContain(address);
    expect(textOf('docs/protocol.md')).toContain(`\`${address}\``);
    expect(Object.keys(parameters ?? {})).toEqual(['session_id']);
  });

  it('says who sends which frame', () => {
    const by = (action: string): string[] =>
      Object.values(operations)
        .filter((each) => each.action === action && each.channel.$ref === '#/channels/surfaces')
        .flatMap(({ messages = [] }) => messages)
        .map(({ $ref }) => $ref.replace('#/channels/surfaces/messages/', ''))
        .toSorted();
    expect([by('send'), by('receive')]).toEqual([typesOf(ClientFrame), typesOf(ServerFrame)]);
  });

  it('has no message that no channel has', () => {
    const used = [channels.turns, channels.surfaces].flatMap(({ messages }) =>
      Object.keys(messages),
    );
    expect(Object.keys(components.messages).toSorted()).toEqual(used.toSorted());
  });
});
