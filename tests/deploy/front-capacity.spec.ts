import { describe, expect, it } from 'vitest';
import { parseSettings } from '#libs/runtime';
import { textOf } from '../conformance/repository.js';
import { at, composeFile, listAt } from './documents.js';
import { rendered } from './kustomize.js';

const configuration = textOf('deploy/nginx/nginx.conf');
const valueOf = (directive: string): number =>
  Number(new RegExp(`^\\s*${directive} (\\d+);`, 'm').exec(configuration)?.[1]);

describe('the front', () => {
  const { sockets } = parseSettings({}).limits;
  const perWorker = valueOf('worker_connections');
  // Each has a connection to its client, and one to its gateway.
  const taken = (valueOf('worker_processes') * perWorker) / 2;

  it('takes more sockets than a gateway does', () => {
    expect(taken).toBeGreaterThan(sockets);
    expect(valueOf('worker_rlimit_nofile')).toBeGreaterThan(perWorker);
    const said = `takes ${taken.toLocaleString('en')} sockets`;
    expect(textOf('docs/operations.md')).toContain(said);
  });

  it('has the files and the ports for them in Compose and Kubernetes', () => {
    const compose = composeFile('docker-compose.yml', {
      SBP_JWT_SECRET: 'x',
      POSTGRES_PASSWORD: 'x',
    });
    const front = at(compose, 'services', 'front');
    expect(at(front, 'ulimits', 'nofile')).toBe(valueOf('worker_rlimit_nofile'));
    const pod = rendered('k8s/base')
      .filter((each) => at(each, 'kind') === 'Deployment')
      .find((each) => at(each, 'metadata', 'name') === 'front');
    const [sysctl = {}] = listAt(pod, 'spec', 'template', 'spec', 'securityContext', 'sysctls');
    const name = 'net.ipv4.ip_local_port_range';
    for (const range of [at(front, 'sysctls', name), sysctl['value']]) {
      const [least = 0, most = 0] = String(range).split(' ').map(Number);
      expect(most - least).toBeGreaterThan(sockets);
    }
    expect(sysctl['name']).toBe(name);
  });
});
