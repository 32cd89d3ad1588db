// Writes docs/reference from the schemas; with `--check` writes nothing and fails where it differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { openApiDocument } from '#libs/protocol';
import { asyncApiDocument } from './asyncapi.js';
import { referencePage } from './reference-page.js';
import {
  bodies,
  clientFrames,
  logEvents,
  schemaDocument,
  serverFrames,
} from './schema-documents.js';

// This module is run in its built form, below `dist`.
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const folder = path.join(root, 'docs', 'reference');

const documents: Readonly<Record<string, string>> = {
  'frames.schema.json': JSON.stringify(
    schemaDocument('Frames', { ...clientFrames, ...serverFrames }),
  ),
  'bodies.schema.json': JSON.stringify(schemaDocument('Bodies and token claims', bodies)),
  'log-events.schema.json': JSON.stringify(schemaDocument('Log events', logEvents)),
  'openapi.json': JSON.stringify(openApiDocument()),
  'asyncapi.json': JSON.stringify(asyncApiDocument()),
  'README.md': referencePage(),
};

const isCheck = process.argv.includes('--check');
const differing: string[] = [];
mkdirSync(folder, { recursive: true });
for (const [name, text] of Object.entries(documents)) {
  const file = path.join(folder, name);
  const formatted = await format(text, { ...(await resolveConfig(file)), filepath: file });
  if (existsSync(file) && readFileSync(file, 'utf8') === formatted) continue;
  differing.push(path.relative(root, file));
  if (!isCheck) writeFileSync(file, formatted);
}
if (isCheck && differing.length > 0) {
  process.stderr.write(
    `Not as generated: ${differing.join(', ')}. Run: node tools/setup/run.mjs generate\n`,
  );
  process.exitCode = 1;
}
if (!isCheck)
  process.stdout.write(
    differing.length === 0 ? 'Nothing to write.\n' : `Wrote ${differing.join(', ')}.\n`,
  );
