import { Actor, CLOSE, ERRORS } from '#libs/protocol';
import { z } from 'zod';
import { bodies, clientFrames, logEvents, serverFrames } from './schema-documents.js';

/** The page `docs/reference/README.md`, as Markdown. */
export function referencePage(): string {
  return `# Reference

Generated from the schemas in \`libs/protocol\` by \`node tools/setup/run.mjs generate\`; \`npm run verify\` fails when it
differs. What the fields mean is said in [the wire contract](../protocol.md). A field with \`?\` may be left out.

JSON Schemas, each definition below \`$defs\` under the name used here: [frames](frames.schema.json),
[bodies and token claims](bodies.schema.json), [log events](log-events.schema.json); the log's topic, and the
WebSocket of surfaces, as [AsyncAPI](asyncapi.json).

## Frames from the client

${fieldTable('frame', clientFrames, ['type'])}

## Frames from the server

${fieldTable('frame', serverFrames, ['type'])}

## Bodies and token claims

${fieldTable('body', bodies, [])}

## Log events

Every event has an envelope: \`id\`, \`type\`, \`schema\` (its version, 1), \`session_id\`, \`occurred_at\` and \`by\`, and may have
\`trace\`, \`enc\` and \`optional\`. \`by\` says who caused it (${fieldsOf(Actor, [])}); its
\`principal\` is null where the server acted by itself. \`data\` decides, and nothing else is read by the fold; \`content\` is what
a person or a model wrote. An _owned_ event has an \`epoch\`, and counts only where no higher one stands before it in the
session's log; a _free_ one counts once, by the ids in it.

${eventTable()}

## Errors

${table(
  ['code', 'HTTP status', "OpenAI's type", 'retry', 'what to do'],
  Object.entries(ERRORS).map(([code, { status, type, retry, advice }]) => [
    `\`${code}\``,
    code === 'SBP_INVALID_REQUEST' ? `${status}; 400 on the completions path` : String(status),
    `\`${type}\``,
    retry ? 'yes' : 'no',
    advice,
  ]),
)}

The \`error\` of a turn that did not complete may also have the code \`SBP_UPSTREAM_ERROR\` (the model answered with an
error) or \`SBP_TURN_ABANDONED\` (too many processes died that ran it).

## Close codes

${table(
  ['code', 'reason'],
  Object.values(CLOSE).map(({ code, reason }) => [String(code), reason]),
)}
`;
}

function fieldTable(
  kind: string,
  schemas: Readonly<Record<string, z.ZodType>>,
  without: readonly string[],
): string {
  return table(
    [kind, 'fields'],
    Object.entries(schemas).map(([name, schema]) => [`\`${name}\``, fieldsOf(schema, without)]),
  );
}

function eventTable(): string {
  return table(
    ['event', 'of', 'kind', 'fields of `data`', 'fields of `content`'],
    Object.entries(logEvents).map(([name, schema]) => {
      const shape = shapeOf(schema);
      const { data, content } = shape;
      return [
        `\`${name}\``,
        'turn_id' in shape ? 'a turn' : 'the session',
        'epoch' in shape ? 'owned' : 'free',
        data === undefined ? '' : fieldsOf(data, []),
        content === undefined ? '' : fieldsOf(content, []),
      ];
    }),
  );
}

function fieldsOf(schema: z.ZodType, without: readonly string[]): string {
  return Object.entries(shapeOf(schema))
    .filter(([field]) => !without.includes(field))
    .map(([field, value]) => `\`${field}\`${value.safeParse(undefined).success ? '?' : ''}`)
    .join(', ');
}

function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> {
  if (schema instanceof z.ZodOptional) return shapeOf(schema.unwrap() as z.ZodType);
  if (schema instanceof z.ZodPipe) return shapeOf(schema.in as z.ZodType);
  if (schema instanceof z.ZodObject) return schema.shape;
  throw new Error('a frame, event or body is an object');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
