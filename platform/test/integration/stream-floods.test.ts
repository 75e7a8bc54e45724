/**
 * Floods: a container that says more than anybody reads, clients that read nothing, two hundred execs at once. Not a byte is lost, and memory stays where
 * it was. SAMPAN_FLOOD_MIB and SAMPAN_FLOOD_PODS make it longer.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamSession } from '../../src/runtime/runtime.ts';
import { missingParts, needsVm, RuntimeLab, smallShape, testHandler } from './runtime-lab.ts';
import { vmmPids } from './support/instance.ts';

const floodMib = Number(process.env.SAMPAN_FLOOD_MIB ?? 24);
const pods = Number(process.env.SAMPAN_FLOOD_PODS ?? 2);
const mebibyte = 1024 * 1024;
/** With its newline a power of two. */
const line = 'x0123456789abcdef'.repeat(8).slice(0, 127);
/** What this process, which is the server here, may grow by. */
const mostGrowth = 160 * mebibyte;

describe(`floods (${testHandler})`, { skip: missingParts() }, () => {
  let lab: RuntimeLab;
  let pod: string;
  let host: string;
  before(async () => {
    lab = await RuntimeLab.open();
    if (testHandler === 'vm') await lab.vmm.prepareTemplate(smallShape);
    pod = await lab.sandbox('floods');
    host = await lab.started(pod, 'sleep 100000', { metadata: { name: 'host', attempt: 0 } });
  });
  after(() => lab?.[Symbol.asyncDispose]());

  const flood = (mib: number) => `yes ${line} | head -c ${mib * mebibyte}`;
  const exec = (...cmd: string[]) => lab.runtime.exec({ containerId: host, cmd, stdin: true });

  /** Every line of the log is one that was said, and all of them are there. */
  async function checkLog(name: string, mib: number): Promise<void> {
    const text = await readFile(join(lab.logDirectory('floods'), `${name}.log`), 'latin1');
    const entries = text.split('\n').slice(0, -1);
    const wrong = entries.find((entry) => !entry.endsWith(` stdout F ${line}`));
    assert.equal(wrong, undefined);
    assert.equal(entries.length, (mib * mebibyte) / (line.length + 1));
  }

  /** The last lines are on their way when the container has ended. */
  async function logIsWhole(name: string, mib: number): Promise<void> {
    for (const endMs = performance.now() + 60_000; performance.now() < endMs; ) {
      if (
        await checkLog(name, mib).then(
          () => true,
          () => false,
        )
      )
        return;
      await delay(250);
    }
    await checkLog(name, mib);
  }

  test('what a container says as fast as it can is in its log to the last byte, and memory stays where it was', async () => {
    const memory = watchMemory();
    await lab.started(pod, flood(floodMib), { metadata: { name: 'fast', attempt: 0 } }).then((id) => lab.exited(id));
    await logIsWhole('fast', floodMib);
    memory.check();
  });

  test('a client that attaches and never reads holds up neither the container nor the server', async () => {
    const memory = watchMemory();
    const gate = { metadata: { name: 'attached', attempt: 0 }, stdin: true, stdinOnce: true };
    const id = await lab.started(pod, `read go; ${flood(8)}`, gate);
    await using deaf = await lab.runtime.attach({ containerId: id, stdout: true, stderr: true });
    await using starter = await lab.runtime.attach({ containerId: id, stdin: true });
    const writer = starter.stdin!.getWriter();
    await writer.write(Buffer.from('go\n'));
    await lab.exited(id);
    await logIsWhole('attached', 8);
    memory.check();
    void deaf;
  });

  test('an exec that nobody reads is held up, costs little, and goes on byte by byte when it is read', async () => {
    const memory = watchMemory();
    const deaf = await Promise.all(Array.from({ length: 10 }, () => exec('yes', line)));
    const slow = await exec('sh', '-c', `${flood(8)}; echo end`);
    await delay(1500);
    memory.check();
    const hash = createHash('sha1');
    for await (const chunk of slow.stdout) hash.update(chunk);
    assert.equal((await slow.exited).exitCode, 0);
    assert.equal(hash.digest('hex'), shaOf(`${`${line}\n`.repeat((8 * mebibyte) / 128)}end\n`));
    for (const session of deaf) await session[Symbol.asyncDispose]();
    memory.check();
  });

  test('two hundred execs at once each get back every byte they were sent', async () => {
    const memory = watchMemory();
    const session = async (index: number) => echoed(await exec('cat'), Buffer.alloc(20_000 + index, randomBytes(997)));
    await Promise.all(Array.from({ length: 200 }, (_, index) => session(index)));
    memory.check();
    const left = await lab.exec(host, 'ps | grep -c " cat$"; true');
    assert.equal(left.trim(), '0');
  });

  test(`${pods} Pods with ten execs each at once get back every byte they were sent`, async () => {
    const more = await Promise.all(
      Array.from({ length: pods }, async (_, index) => {
        const id = await lab.sandbox(`crowd-${index}`);
        const containerId = await lab.started(id, 'sleep 100000');
        return { id, containerId };
      }),
    );
    const memory = watchMemory();
    const one = async (containerId: string) =>
      echoed(await lab.runtime.exec({ containerId, cmd: ['cat'], stdin: true }), randomBytes(300_000));
    await Promise.all(more.flatMap(({ containerId }) => Array.from({ length: 10 }, () => one(containerId))));
    memory.check();
    for (const { id } of more) await lab.runtime.removePodSandbox({ podSandboxId: id });
  });

  test('the machine of all these floods has not grown either', { skip: needsVm }, () => {
    // A guest of 256 MiB, and what QEMU needs for itself.
    for (const pid of vmmPids({ run: lab.instance.run })) {
      const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
      assert.ok(resident < 420 * mebibyte, `${Math.round(resident / mebibyte)} MiB`);
    }
  });
});

const shaOf = (data: string | Uint8Array): string => createHash('sha1').update(data).digest('hex');

/** Sends bytes to a process that sends them back. */
async function echoed(session: StreamSession, bytes: Buffer): Promise<void> {
  const writer = session.stdin!.getWriter();
  const sending = writer.write(bytes).then(() => writer.close());
  const hash = createHash('sha1');
  for await (const chunk of session.stdout) hash.update(chunk);
  await sending;
  assert.equal(hash.digest('hex'), shaOf(bytes));
  assert.equal((await session.exited).exitCode, 0);
}

/** Of this process, from now on. */
function watchMemory(): { check(): void } {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 50);
  timer.unref();
  return {
    check() {
      most = Math.max(most, process.memoryUsage.rss());
      assert.ok(most - before < mostGrowth, `grew by ${Math.round((most - before) / mebibyte)} MiB`);
    },
  };
}
