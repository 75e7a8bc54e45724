/**
 * The server process of one instance: takes the instance's lock, brings the platform up, says where it serves in <home>/server.json,
 * and goes on until a signal. SIGTERM and SIGINT stop the server only: Pods go on.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { instanceFromEnvironment } from '../base/config.ts';
import { writeFileAtomic } from '../base/files.ts';
import { createLogger, logLevel } from '../base/log.ts';
import { startTimeOf } from '../base/process-start.ts';
import { startPlatform } from './platform.ts';
import { runServiceProcess } from './service-process.ts';
import { version } from './version.ts';

const instance = instanceFromEnvironment();
const log = createLogger({ level: logLevel() });
const infoPath = join(instance.home, 'server.json');

await runServiceProcess({
  instance,
  log,
  words: { stopping: 'stopping the server; Pods go on', cannotStart: 'the server cannot start' },
  async serve() {
    const platform = await startPlatform(instance, log);
    const startTime = startTimeOf(process.pid)!;
    const { url, nodeName, network } = platform;
    await writeFileAtomic(
      infoPath,
      JSON.stringify({
        pid: process.pid,
        startTime,
        version,
        run: instance.run,
        tag: instance.tag,
        url,
        nodeName,
        network,
      }),
    );
    return {
      told: { url, nodeName },
      async close() {
        await rm(infoPath, { force: true });
        await platform.close();
      },
    };
  },
});
