// Writes docs/reference from the schemas, and nginx's and Kubernetes' files from the route table.
// With `--check` it writes nothing, and fails where one differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { openApiDocument } from '#libs/protocol';
import { asyncApiDocument } from './asyncapi.js';
import { kubernetesFiles } from './deployment/kubernetes-files.js';
import { errorBodiesConf, errorsConf, routesConf } from './deployment/nginx-files.js';
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

/** By their paths from the root. */
const documents: Readonly<Record<string, string>> = {
  'docs/reference/frames.schema.json': JSON.stringify(
    schemaDocument('Frames', { ...clientFrames, ...serverFrames }),
  ),
  'docs/reference/bodies.schema.json': JSON.stringify(
    schemaDocument('Bodies and token claims', bodies),
  ),
  'docs/reference/log-events.schema.json': JSON.stringify(schemaDocument('Log events', logEvents)),
  'docs/reference/openapi.json': JSON.stringify(openApiDocument()),
  'docs/reference/asyncapi.json': JSON.stringify(asyncApiDocument()),
  'docs/reference/README.md': referencePage(),
  'deploy/nginx/routes.conf': routesConf(),
  'deploy/nginx/errors.conf': errorsConf(),
  'deploy/nginx/error-bodies.conf': errorBodiesConf(),
  ...kubernetesFiles(),
};

const isCheck = process.argv.includes('--check');
const differing: string[] = [];
for (const [name, text] of Object.entries(documents)) {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  // Prettier knows nothing of nginx.
  const formatted = file.endsWith('.conf')
    ? text
    : await format(text, { ...(await resolveConfig(file)), filepath: file });
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
