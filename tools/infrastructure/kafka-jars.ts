import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached } from './cache.js';
import { runMaven } from './java.js';

const KAFKA_VERSION = '4.3.0';
const LOG4J_VERSION = '2.24.3';

/**
 * The folder with the broker's jars, downloaded by Maven at the first call.
 *
 * @param say is told what takes long.
 */
export function kafkaJars(say: (message: string) => void): Promise<string> {
  return cached(`kafka-${KAFKA_VERSION}`, async (work) => {
    say(`Downloading Kafka ${KAFKA_VERSION} by Maven, 43 MB, once …`);
    await writeFile(path.join(work, 'pom.xml'), POM);
    const jars = path.join(work, 'libs');
    await runMaven(work, [
      '-q',
      '-B',
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${jars}`,
    ]);
    return jars;
  });
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
