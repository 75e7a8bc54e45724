import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { silentLogger } from '../../base/log.ts';
import type { LiveSandbox } from './bundle-context.ts';
import { SeccompFilters } from './seccomp-filters.ts';

const spec = (name: string) => ({ linux: { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [name] } } });
const program = Buffer.from('eight by');

const sandboxOf = (handler: 'vm' | 'namespace', isFresh = true) =>
  ({ record: { request: { handler } }, isFresh }) as unknown as LiveSandbox;

function agentWith(bytes: Uint8Array, then = () => {}) {
  return {
    awaitReady: async () => ({ pid: 7 }),
    async readFilter() {
      then();
      return bytes;
    },
  };
}

async function learned(sandbox: LiveSandbox, agent = agentWith(program)): Promise<string | undefined> {
  const filters = new SeccompFilters();
  await filters.learn({ id: 'one', spec: spec('mkdir'), sandbox, agent }, silentLogger);
  return filters.of(spec('mkdir'));
}

test('what a fresh machine on the host compiled is known from then on, for the same filter and no other', async () => {
  const filters = new SeccompFilters();
  assert.equal(filters.of(spec('mkdir')), undefined);
  await filters.learn(
    { id: 'one', spec: spec('mkdir'), sandbox: sandboxOf('namespace'), agent: agentWith(program) },
    silentLogger,
  );
  assert.equal(filters.of(spec('mkdir')), program.toString('base64'));
  assert.equal(filters.of(spec('chmod')), undefined);
  assert.equal(filters.of({ linux: {} }), undefined);
});

test('nothing is learned from a guest, nor from a machine in which a program may have run', async () => {
  assert.equal(await learned(sandboxOf('vm')), undefined);
  assert.equal(await learned(sandboxOf('namespace', false)), undefined);
  const sandbox = sandboxOf('namespace');
  const startsMeanwhile = agentWith(program, () => {
    sandbox.isFresh = false;
  });
  assert.equal(await learned(sandbox, startsMeanwhile), undefined);
});

test('what is no program is not kept, and a container that cannot be made is no reason to fail', async () => {
  assert.equal(await learned(sandboxOf('namespace'), agentWith(Buffer.from('seven b'))), undefined);
  assert.equal(await learned(sandboxOf('namespace'), agentWith(new Uint8Array())), undefined);
  const failing = agentWith(program, () => {
    throw new SampanError('InternalError', 'no such program');
  });
  assert.equal(await learned(sandboxOf('namespace'), failing), undefined);
});

test('of many filters those used last are kept', async () => {
  const filters = new SeccompFilters();
  for (let index = 0; index < 40; index++) {
    const container = { id: 'one', spec: spec(`call-${index}`), sandbox: sandboxOf('namespace') };
    await filters.learn({ ...container, agent: agentWith(program) }, silentLogger);
    filters.of(spec('call-0'));
  }
  assert.deepEqual(
    [0, 1, 39].map((index) => filters.of(spec(`call-${index}`)) !== undefined),
    [true, false, true],
  );
});
