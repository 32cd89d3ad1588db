import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { MissingProgramError } from './missing-program.js';

const run = promisify(execFile);

const MINIMUM_JAVA = 17;
const INSTALL_JAVA =
  'on Debian or Ubuntu `apt-get install openjdk-17-jre-headless`, on macOS `brew install openjdk`';
const INSTALL_MAVEN = 'on Debian or Ubuntu `apt-get install maven`, on macOS `brew install maven`';

/**
 * The `java` of JAVA_HOME or PATH. Throws `MissingProgramError` if there is none, or only an older
 * one.
 */
export async function findJava(): Promise<string> {
  const home = process.env['JAVA_HOME'];
  const java = home === undefined || home === '' ? 'java' : path.join(home, 'bin', 'java');
  const output = await run(java, ['-version']).then(
    ({ stdout, stderr }) => `${stdout}${stderr}`,
    () => undefined,
  );
  if (output === undefined) {
    throw new MissingProgramError(
      `Kafka needs Java ${MINIMUM_JAVA} or newer, and none was found: ${INSTALL_JAVA}.`,
    );
  }
  const major = Number(/version "(?:1\.)?(\d+)/.exec(output)?.[1] ?? Number.NaN);
  if (!(major >= MINIMUM_JAVA)) {
    const found = output.split('\n')[0] ?? '';
    throw new MissingProgramError(
      `Kafka needs Java ${MINIMUM_JAVA} or newer, found ${found}: ${INSTALL_JAVA}.`,
    );
  }
  return java;
}

/** Runs Maven in a folder. Throws `MissingProgramError` if it is not installed. */
export async function runMaven(folder: string, args: readonly string[]): Promise<void> {
  try {
    await run('mvn', [...args], { cwd: folder, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (code === 'ENOENT') {
      throw new MissingProgramError(
        `Kafka's jars are downloaded by Maven, and none was found: ${INSTALL_MAVEN}.`,
      );
    }
    throw new Error(`mvn ${args.join(' ')} failed:\n${stdout ?? ''}${stderr ?? ''}`, {
      cause: error,
    });
  }
}
