/**
 * The server process of one instance: takes the instance's lock, brings the platform up, says where it serves in <home>/server.json,
 * and goes on until a signal. SIGTERM and SIGINT stop the server only: Pods go on.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@sampan/api/errors.ts';
import { instanceFromEnvironment } from '../base/config.ts';
import { ensureDirectory, writeFileAtomic } from '../base/files.ts';
import { createLogger } from '../base/log.ts';
import { takeInstanceLock } from './instance-lock.ts';
import { startPlatform } from './platform.ts';
import { version } from './version.ts';

const instance = instanceFromEnvironment();
const log = createLogger({ level: process.env.SAMPAN_LOG_LEVEL });
const infoPath = join(instance.home, 'server.json');

process.on('unhandledRejection', (reason) => {
  log.error(
    { error: messageOf(reason), stack: reason instanceof Error ? reason.stack : undefined },
    'a promise was rejected and nobody cared: this is a bug',
  );
});

try {
  await ensureDirectory(instance.home, 0o700);
  await ensureDirectory(instance.run, 0o711);
  await takeInstanceLock(instance);
  const platform = await startPlatform(instance, log);
  const startTime = (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]!.split(' ')[19]!;
  const { url, nodeName } = platform;
  await writeFileAtomic(
    infoPath,
    JSON.stringify({ pid: process.pid, startTime, version, run: instance.run, tag: instance.tag, url, nodeName }),
  );
  log.info({ url, nodeName, home: instance.home }, 'serving');

  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping the server; Pods go on');
    await rm(infoPath, { force: true });
    await platform.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
} catch (error) {
  log.error(
    { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
    'the server cannot start',
  );
  process.exit(1);
}
