// Copies key files from a mounted secret, which a group may read, to where only this user may: the
// services refuse a key file that others can read. From the first folder to the second.
import { chmodSync, copyFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const [from = '/secrets/keys', to = '/keys'] = process.argv.slice(2);
// A secret's folder also holds the links by which Kubernetes changes it.
const names = existsSync(from) ? readdirSync(from).filter((name) => !name.startsWith('..')) : [];
for (const name of names.filter((each) => statSync(path.join(from, each)).isFile())) {
  const copy = path.join(to, name);
  copyFileSync(path.join(from, name), copy);
  chmodSync(copy, 0o600);
}
