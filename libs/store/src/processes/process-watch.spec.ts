import { describe, expect, it } from 'vitest';
import { ProcessWatch } from './process-watch.js';
import type { ProcessSign } from './processes.js';
import { HEARTBEAT_MS, LEASE_MS } from './processes.js';

const LOOKS_IN_A_LEASE = LEASE_MS / HEARTBEAT_MS;

/** A watch that looks once a second, at a table that a test changes between. */
class Scene {
  readonly watch = new ProcessWatch();
  readonly table = new Map<string, ProcessSign>();
  now = 5_000_000;

  set(incarnation: string, beat: number, sign: Partial<ProcessSign> = {}): void {
    this.table.set(incarnation, {
      ...{ slot: this.table.size, incarnation, beat, hasLeft: false, reaped: false },
      ...sign,
    });
  }

  /** These beat once before each look. */
  look(times = 1, ...alive: readonly string[]): void {
    for (let time = 0; time < times; time++) {
      this.now += HEARTBEAT_MS;
      for (const incarnation of alive) {
        this.set(incarnation, (this.table.get(incarnation)?.beat ?? 0) + 1);
      }
      this.watch.observe([...this.table.values()], this.now);
    }
  }

  silent(): readonly string[] {
    return [...this.table.keys()].filter((incarnation) => this.watch.isSilent(incarnation));
  }
}

function watching(...incarnations: readonly string[]): Scene {
  const scene = new Scene();
  for (const incarnation of incarnations) scene.set(incarnation, 1);
  scene.look();
  return scene;
}

describe('a process', () => {
  it('is silent when its beat has not risen for one lease, and not before', () => {
    const scene = watching('dead', 'alive');
    scene.look(LOOKS_IN_A_LEASE - 1, 'alive');
    expect(scene.silent()).toEqual([]);
    scene.look(1, 'alive');
    expect(scene.silent()).toEqual(['dead']);
  });

  it('lives again with the next beat, for one lease', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE);
    expect(scene.silent()).toEqual(['it']);
    scene.look(1, 'it');
    expect(scene.silent()).toEqual([]);
    scene.look(LOOKS_IN_A_LEASE - 1);
    expect(scene.silent()).toEqual([]);
    scene.look();
    expect(scene.silent()).toEqual(['it']);
  });

  it('lives with any other beat, because a rebuilt table begins to count anew', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE - 1);
    scene.set('it', 0);
    scene.look();
    expect(scene.silent()).toEqual([]);
  });

  it('that is first seen later has a whole lease too', () => {
    const scene = watching('other');
    scene.look(LOOKS_IN_A_LEASE, 'other');
    scene.set('it', 7);
    scene.look(LOOKS_IN_A_LEASE, 'other');
    expect(scene.silent()).toEqual([]);
    scene.look(1, 'other');
    expect(scene.silent()).toEqual(['it']);
  });

  it('that has left is silent at once', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE, 'it');
    scene.set('it', 9, { hasLeft: true });
    scene.look();
    expect(scene.silent()).toEqual(['it']);
    expect(scene.watch.beatOf('it')).toBeNull();
  });

  it('that the table does not know is silent, but only to who is steady', () => {
    const scene = watching('other');
    expect(scene.watch.isSilent('unknown')).toBe(false);
    scene.look(LOOKS_IN_A_LEASE - 1, 'other');
    expect(scene.watch.isSilent('unknown')).toBe(false);
    scene.look(1, 'other');
    expect(scene.watch.isSilent('unknown')).toBe(true);
    expect(scene.watch.beatOf('unknown')).toBeNull();
  });

  it('is judged by the beat that it was last seen at', () => {
    const scene = watching('it');
    scene.look(2, 'it');
    expect(scene.watch.beatOf('it')).toBe(3);
    scene.look(LOOKS_IN_A_LEASE);
    expect(scene.watch.beatOf('it')).toBe(3);
  });
});

describe('a watch', () => {
  it('judges nobody before it has looked for one lease', () => {
    const watch = new ProcessWatch();
    expect([watch.isSteady, watch.isSilent('unknown')]).toEqual([false, false]);
    const scene = watching('it');
    scene.set('left', 3, { hasLeft: true });
    scene.look(LOOKS_IN_A_LEASE - 1);
    expect([scene.watch.isSteady, scene.silent()]).toEqual([false, []]);
    scene.look();
    expect([scene.watch.isSteady, scene.silent()]).toEqual([true, ['it', 'left']]);
  });

  it('begins anew after a look that failed, because after an outage all look silent [A6]', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE);
    expect(scene.silent()).toEqual(['it']);
    scene.watch.failed();
    expect([scene.watch.isSteady, scene.silent()]).toEqual([false, []]);
    scene.look(LOOKS_IN_A_LEASE);
    expect(scene.silent()).toEqual([]);
    scene.look();
    expect(scene.silent()).toEqual(['it']);
  });

  it('begins anew after a gap, because it cannot know what beat in it', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE);
    scene.now += 2 * HEARTBEAT_MS + 1;
    scene.look();
    expect([scene.watch.isSteady, scene.silent()]).toEqual([false, []]);
    scene.look(LOOKS_IN_A_LEASE);
    expect(scene.silent()).toEqual(['it']);
  });

  it('bears a look that comes a little late', () => {
    const scene = watching('it');
    scene.look(LOOKS_IN_A_LEASE - 2);
    scene.now += 2 * HEARTBEAT_MS;
    scene.look();
    expect([scene.watch.isSteady, scene.silent()]).toEqual([true, ['it']]);
  });

  it('needs no clock but its own: times that only it knows give the same judgement', () => {
    for (const start of [0, 5, 1e12]) {
      const scene = new Scene();
      scene.now = start;
      scene.set('dead', 4);
      scene.look(LOOKS_IN_A_LEASE + 1, 'alive');
      expect(scene.silent()).toEqual(['dead']);
    }
  });

  it('forgets who is not in the table any more', () => {
    const scene = watching('it');
    scene.look(2, 'it');
    scene.table.clear();
    scene.look();
    expect(scene.watch.beatOf('it')).toBeNull();
  });
});
