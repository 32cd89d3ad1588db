import { LIMITS, SBP_VERSION } from '#libs/protocol';
import { logEvents } from './schema-documents.js';

/** Where the turn log is by default; the prefix and the number of partitions are settings. */
const TOPIC = 'sbp.turns';
const PARTITIONS = 12;
const BINDING_VERSION = '0.5.0';
const SCHEMAS = './log-events.schema.json';

const nameOf = (type: string): string => type.replaceAll('.', '_');

/** The events of the log's topic as an AsyncAPI 3.0 document. */
export function asyncApiDocument(): Readonly<Record<string, unknown>> {
  const types = Object.keys(logEvents);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'The turn log',
      version: SBP_VERSION,
      description:
        'Every event of every session, in order per session. Read it with a consumer group of your own; ' +
        'never write to it. What a consumer must know is in docs/consumers.md.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      turns: {
        address: TOPIC,
        description: 'Keyed by session id, and so in order per session; nothing expires.',
        messages: Object.fromEntries(
          types.map((type) => [nameOf(type), { $ref: `#/components/messages/${nameOf(type)}` }]),
        ),
        bindings: {
          kafka: {
            topic: TOPIC,
            partitions: PARTITIONS,
            topicConfiguration: {
              'cleanup.policy': ['delete'],
              'retention.ms': -1,
              'max.message.bytes': LIMITS.logRecord,
            },
            bindingVersion: BINDING_VERSION,
          },
        },
      },
    },
    operations: {
      readTurns: {
        action: 'receive',
        channel: { $ref: '#/channels/turns' },
        summary: 'Read the log from any offset, as often as you like.',
      },
    },
    components: {
      messages: Object.fromEntries(types.map((type) => [nameOf(type), messageOf(type)])),
    },
  };
}

function messageOf(type: string): Readonly<Record<string, unknown>> {
  const shape = logEvents[type]?.shape ?? {};
  const kind = 'epoch' in shape ? 'owned' : 'free';
  const of = 'turn_id' in shape ? 'a turn' : 'the session';
  return {
    name: type,
    title: type,
    summary: `An event of ${of}; ${kind}.`,
    contentType: 'application/json',
    payload: {
      schemaFormat: 'application/schema+json;version=2020-12',
      schema: { $ref: `${SCHEMAS}#/$defs/${type}` },
    },
    bindings: {
      kafka: {
        key: { type: 'string', format: 'uuid', description: 'The session id.' },
        bindingVersion: BINDING_VERSION,
      },
    },
  };
}
