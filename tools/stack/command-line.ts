import { parseArgs } from 'node:util';
import { SERVICES } from '#libs/protocol';
import type { ServiceName } from '#libs/protocol';
import type { StackOptions } from './options.js';

const DEFAULT_PORT = '8080';
const DEFAULT_DATA_DIR = '.data/stack';

export const USAGE = `usage: npm run stack -- [options]

  --port N          of the one address in front (default ${DEFAULT_PORT}; 0: any free one)
  --data-dir DIR    where Kafka, Postgres, the secret and the logs are kept (default ${DEFAULT_DATA_DIR})
  --brokers N       Kafka brokers, 1 or 3 (default 1): with 3 each record is kept three times
  --replicas LIST   processes of each service, as in completions=2,gateway=2,sessions=2 (default one each)
  --no-restart      leave a process dead that ended on its own
  --rebuild         make the read models again from the log of a stopped stack, and end
`;

/** Throws an `Error` with a message for the user if an option is wrong. */
export function stackOptions(
  args: readonly string[],
): StackOptions & { readonly rebuild: boolean } {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    options: {
      port: { type: 'string', default: DEFAULT_PORT },
      'data-dir': { type: 'string', default: DEFAULT_DATA_DIR },
      brokers: { type: 'string', default: '1' },
      replicas: { type: 'string', default: '' },
      'no-restart': { type: 'boolean', default: false },
      rebuild: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`--port ${values.port} is not a port.`);
  return {
    port,
    dataDir: values['data-dir'],
    brokers: brokersOf(values.brokers),
    replicas: replicasOf(values.replicas),
    restart: !values['no-restart'],
    rebuild: values.rebuild,
  };
}

function brokersOf(count: string): 1 | 3 {
  if (count === '1') return 1;
  if (count === '3') return 3;
  throw new Error(`--brokers ${count} is neither 1 nor 3.`);
}

function replicasOf(list: string): Partial<Record<ServiceName, number>> {
  const replicas: Partial<Record<ServiceName, number>> = {};
  for (const part of list.split(',').filter((each) => each !== '')) {
    const [name = '', count = ''] = part.split('=');
    const kind = SERVICES.find((each) => each === name);
    if (kind === undefined)
      throw new Error(`--replicas: ${name} is not one of ${SERVICES.join(', ')}.`);
    if (!/^\d{1,2}$/.test(count))
      throw new Error(`--replicas: ${part} does not say how many, as in ${name}=2.`);
    replicas[kind] = Number(count);
  }
  return replicas;
}
