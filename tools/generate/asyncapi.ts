import { LIMITS, SBP_VERSION } from '#libs/protocol';
import { clientFrames, logEvents, serverFrames } from './schema-documents.js';

/** Where the turn log is by default; the prefix and the number of partitions are settings. */
const TOPIC = 'sbp.turns';
const PARTITIONS = 12;
/** Where surfaces connect. */
const SOCKET = '/v1/sbp/ws/{session_id}';
const KAFKA_BINDING = '0.5.0';
const WEBSOCKET_BINDING = '0.1.0';
const EVENT_SCHEMAS = './log-events.schema.json';
const FRAME_SCHEMAS = './frames.schema.json';

type Document = Readonly<Record<string, unknown>>;

const nameOf = (type: string): string => type.replaceAll('.', '_');

/**
 * The events of the log's topic, and the frames of a surface's WebSocket, as an AsyncAPI 3.0
 * document.
 */
export function asyncApiDocument(): Document {
  const events = Object.keys(logEvents);
  const [sent, received] = [Object.keys(clientFrames), Object.keys(serverFrames)];
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'The turn log, and the WebSocket of surfaces',
      version: SBP_VERSION,
      description:
        'Operations are those of a client: of whoever reads the log, and of a surface. The log has every event of every session, ' +
        'in order per session; read it with a consumer group of your own, and never write to it. What a consumer must know is in ' +
        'docs/consumers.md, and what a surface must know in docs/protocol.md and docs/surfaces.md.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      turns: {
        address: TOPIC,
        description: 'Keyed by session id, and so in order per session; nothing expires.',
        messages: references('#/components/messages', events),
        bindings: {
          kafka: {
            topic: TOPIC,
            partitions: PARTITIONS,
            topicConfiguration: {
              'cleanup.policy': ['delete'],
              'retention.ms': -1,
              'max.message.bytes': LIMITS.logRecord,
            },
            bindingVersion: KAFKA_BINDING,
          },
        },
      },
      surfaces: {
        address: SOCKET,
        description:
          'A WebSocket of text frames, each one JSON object. The surface speaks first, by ATTACH_SESSION.',
        parameters: { session_id: { description: 'The session that the surface attaches to.' } },
        messages: references('#/components/messages', [...sent, ...received]),
        bindings: { ws: { method: 'GET', bindingVersion: WEBSOCKET_BINDING } },
      },
    },
    operations: {
      readTurns: {
        action: 'receive',
        channel: { $ref: '#/channels/turns' },
        summary: 'Read the log from any offset, as often as you like.',
      },
      sendFrames: {
        action: 'send',
        channel: { $ref: '#/channels/surfaces' },
        summary: 'What a surface says.',
        messages: Object.values(references('#/channels/surfaces/messages', sent)),
      },
      receiveFrames: {
        action: 'receive',
        channel: { $ref: '#/channels/surfaces' },
        summary: 'What a surface is told.',
        messages: Object.values(references('#/channels/surfaces/messages', received)),
      },
    },
    components: {
      messages: {
        ...Object.fromEntries(events.map((type) => [nameOf(type), eventMessage(type)])),
        ...Object.fromEntries([...sent, ...received].map((type) => [type, frameMessage(type)])),
      },
    },
  };
}

function references(place: string, types: readonly string[]): Readonly<Record<string, object>> {
  return Object.fromEntries(
    types.map((type) => [nameOf(type), { $ref: `${place}/${nameOf(type)}` }]),
  );
}

function eventMessage(type: string): Document {
  const shape = logEvents[type]?.shape ?? {};
  const kind = 'epoch' in shape ? 'owned' : 'free';
  const of = 'turn_id' in shape ? 'a turn' : 'the session';
  return {
    ...message(type, EVENT_SCHEMAS, `An event of ${of}; ${kind}.`),
    bindings: {
      kafka: {
        key: { type: 'string', format: 'uuid', description: 'The session id.' },
        bindingVersion: KAFKA_BINDING,
      },
    },
  };
}

function frameMessage(type: string): Document {
  const by = type in clientFrames ? 'a surface' : 'the server';
  return message(type, FRAME_SCHEMAS, `A frame of ${by}.`);
}

function message(type: string, schemas: string, summary: string): Document {
  return {
    name: type,
    title: type,
    summary,
    contentType: 'application/json',
    payload: {
      schemaFormat: 'application/schema+json;version=2020-12',
      schema: { $ref: `${schemas}#/$defs/${type}` },
    },
  };
}
