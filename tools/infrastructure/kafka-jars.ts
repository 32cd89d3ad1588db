import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { runMaven } from './java.js';

const KAFKA_VERSION = '4.3.0';
const LOG4J_VERSION = '2.24.3';

/**
 * The folder with the broker's jars, downloaded by Maven at the first call. It lies outside
 * `node_modules`, in `SBP_CACHE_DIR` or `~/.cache/statebridge`, and appears at once and whole:
 * several processes may ask at the same time.
 *
 * @param say is told what takes long.
 */
export async function kafkaJars(say: (message: string) => void): Promise<string> {
  const cache = process.env['SBP_CACHE_DIR'] ?? path.join(homedir(), '.cache', 'statebridge');
  const jars = path.join(cache, `kafka-${KAFKA_VERSION}`);
  if (existsSync(jars)) return jars;
  say(`Downloading Kafka ${KAFKA_VERSION} by Maven, 43 MB, once …`);
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(path.join(cache, '.download-'));
  try {
    await writeFile(path.join(work, 'pom.xml'), POM);
    await runMaven(work, [
      '-q',
      '-B',
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${path.join(work, 'libs')}`,
    ]);
    await rename(path.join(work, 'libs'), jars).catch((error: unknown) => {
      // Another process was first; its jars are the same.
      if (!existsSync(jars)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return jars;
}

const dependency = (group: string, artifact: string, version: string): string =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>statebridge</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', KAFKA_VERSION)}
    ${dependency('org.apache.logging.log4j', 'log4j-core', LOG4J_VERSION)}
    ${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', LOG4J_VERSION)}
  </dependencies>
</project>
`;
