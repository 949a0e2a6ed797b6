// A Cassandra to run: the jars of `cassandra-all` by the ordinary Maven client, a JDK 17, and an archive of its classes.
// All of it in a cache outside the tree, made once.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const version = '5.0.8';
const cache = join(homedir(), '.cache', 'tocsin-lab', `cassandra-${version}`);

export interface Jars {
  readonly java: string;
  /** Folder of the jars, as a class path. */
  readonly classPath: string;
  readonly jvmArguments: string;
  readonly logback: string;
  /** Shared archive of classes: half of the start-up time. May be missing. */
  readonly archive: string;
}

/** Returns the program of a JDK 17, null where there is none: other versions do not run it. */
export function java17(): string | null {
  const roots = [
    '/usr/lib/jvm',
    '/opt',
    '/Library/Java/JavaVirtualMachines',
    join(homedir(), '.jdks'),
  ];
  const homes = [
    process.env['JAVA17_HOME'] ?? '',
    process.env['JAVA_HOME'] ?? '',
    ...roots.flatMap((root) => foldersOf(root).filter((path) => path.includes('17'))),
  ];
  for (const home of homes) {
    for (const path of [join(home, 'bin', 'java'), join(home, 'Contents', 'Home', 'bin', 'java')]) {
      if (home !== '' && existsSync(path) && isJava17(path)) return path;
    }
  }
  return null;
}

function foldersOf(root: string): string[] {
  return existsSync(root) ? readdirSync(root).map((name) => join(root, name)) : [];
}

function isJava17(path: string): boolean {
  const { stderr } = spawnSync(path, ['-version'], { encoding: 'utf8' });
  return / version "17\./.test(stderr ?? '');
}

/** Returns what to run Cassandra with, or why that is not possible. Fetches the jars the first time: 69 MB. */
export function cassandraJars(): Jars | string {
  const java = java17();
  if (java === null) return 'no JDK 17 (JAVA17_HOME names one)';
  const lib = join(cache, 'target', 'lib');
  if (!existsSync(lib) || readdirSync(lib).length < 90) {
    const problem = fetchJars(java);
    if (problem !== null) return problem;
  }
  const jvmArguments = join(cache, 'jvm.args');
  const logback = join(cache, 'logback.xml');
  writeFileSync(jvmArguments, jvmArgs);
  writeFileSync(logback, logbackXml);
  return {
    java,
    classPath: join(lib, '*'),
    jvmArguments,
    logback,
    archive: join(cache, 'classes.jsa'),
  };
}

function fetchJars(java: string): string | null {
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'pom.xml'), pom);
  try {
    execFileSync('mvn', ['-B', '-q', '-f', join(cache, 'pom.xml'), 'package'], {
      env: { ...process.env, JAVA_HOME: join(java, '..', '..') },
      stdio: 'pipe',
      timeout: 300_000,
    });
    return null;
  } catch (error) {
    return `mvn could not fetch cassandra-all: ${error instanceof Error ? error.message : error}`;
  }
}

/** Starts `command` with its classes recorded, waits for `isReady`, ends it kindly; the archive is there then. */
export async function recordClasses(
  jars: Jars,
  args: readonly string[],
  isReady: (line: string) => boolean,
): Promise<void> {
  const fresh = `${jars.archive}.${process.pid}`;
  const child = spawn(jars.java, [`-XX:ArchiveClassesAtExit=${fresh}`, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  const kill = setTimeout(() => child.kill('SIGKILL'), 60_000);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (text.split('\n').some(isReady)) child.kill('SIGTERM');
  });
  await exited;
  clearTimeout(kill);
  if (existsSync(fresh)) renameSync(fresh, jars.archive);
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>tocsin.test</groupId><artifactId>cassandra-node</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>${version}</version></dependency>
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version>
    <executions><execution><id>copy-libs</id><phase>package</phase><goals><goal>copy-dependencies</goal></goals>
      <configuration><outputDirectory>\${project.build.directory}/lib</outputDirectory><includeScope>runtime</includeScope></configuration>
    </execution></executions>
  </plugin></plugins></build>
</project>
`;

const opens = ['io', 'lang', 'lang.module', 'lang.reflect', 'nio', 'nio.charset', 'util'];
const internals = ['loader', 'math', 'module', 'ref', 'reflect', 'util.jar'];

// Serial GC and C1 are for tests: start-up and memory before speed.
const jvmArgs = `-Xss512k -XX:MaxDirectMemorySize=128m
-XX:+UseSerialGC -XX:ActiveProcessorCount=2 -XX:TieredStopAtLevel=1 -XX:-UsePerfData -XX:+ExitOnOutOfMemoryError
-Djava.net.preferIPv4Stack=true -Djava.awt.headless=true -Djdk.attach.allowAttachSelf=true
-Dio.netty.tryReflectionSetAccessible=true -Dio.netty.allocator.useCacheForAllThreads=true -Dio.netty.allocator.maxOrder=11
--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED --add-exports=java.base/java.lang.ref=ALL-UNNAMED
--add-exports=java.management.rmi/com.sun.jmx.remote.internal.rmi=ALL-UNNAMED
--add-exports=java.management/com.sun.jmx.remote.security=ALL-UNNAMED
--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.server=ALL-UNNAMED
--add-exports=java.sql/java.sql=ALL-UNNAMED --add-exports=jdk.unsupported/sun.misc=ALL-UNNAMED
--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED --add-exports=jdk.attach/sun.tools.attach=ALL-UNNAMED
${opens.map((name) => `--add-opens=java.base/java.${name}=ALL-UNNAMED`).join('\n')}
${internals.map((name) => `--add-opens=java.base/jdk.internal.${name}=ALL-UNNAMED`).join('\n')}
--add-opens=java.base/sun.nio.ch=ALL-UNNAMED
--add-opens=jdk.compiler/com.sun.tools.javac=ALL-UNNAMED --add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED
`;

const logbackXml = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
`;
