import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Arming } from './steps.js';
import { isArming } from './steps.js';

/*
 * An order for the process that starts next: what it does before it can be told anything, such as
 * adopting what its predecessor left behind, has kill points too.
 */

function orderFile(folder: string): string {
  return path.join(folder, 'next-start.json');
}

export function orderNextStart(folder: string, arming: Arming): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(orderFile(folder), JSON.stringify(arming));
}

/** Takes the order, so that no later start finds it; null without one. */
export function takeStartOrder(folder: string): Arming | null {
  const file = orderFile(folder);
  if (!existsSync(file)) return null;
  const order: unknown = JSON.parse(readFileSync(file, 'utf8'));
  rmSync(file);
  return isArming(order) ? order : null;
}

/** Takes an order back that no process has started for. */
export function withdrawStartOrder(folder: string): void {
  rmSync(orderFile(folder), { force: true });
}
