import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ProfileSubject, parseSeccompProfile } from './seccomp-profile.ts';

const subject: ProfileSubject = { capabilities: new Set(['CAP_CHOWN']), architecture: 'x64', kernel: [6, 1] };
const parse = (profile: object | string, changes: Partial<ProfileSubject> = {}) =>
  parseSeccompProfile(typeof profile === 'string' ? profile : JSON.stringify(profile), '/p.json', {
    ...subject,
    ...changes,
  }) as { architectures: string[]; syscalls: { names: string[] }[] };
const namesOf = (...given: Parameters<typeof parse>) => parse(...given).syscalls.flatMap(({ names }) => names);

test('a profile in the runtime-spec’s form is passed as it is', () => {
  const profile = {
    defaultAction: 'SCMP_ACT_ALLOW',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [
      {
        names: ['socket'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: 1,
        args: [{ index: 0, value: 40, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
      },
    ],
  };
  assert.deepEqual(parse(profile), profile);
});

test('Docker’s rules are for those that they are for', () => {
  const rule = (name: string, more: object) => ({ name, action: 'SCMP_ACT_ALLOW', ...more });
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    archMap: [
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
      { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
    ],
    syscalls: [
      { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW', args: [], comment: '', includes: {}, excludes: {} },
      rule('chown', { includes: { caps: ['CAP_CHOWN'] } }),
      rule('mount', { includes: { caps: ['CAP_SYS_ADMIN'] } }),
      rule('clone', { excludes: { caps: ['CAP_SYS_ADMIN'] } }),
      rule('arch_prctl', { includes: { arches: ['amd64', 'x32'] } }),
      rule('ptrace', { includes: { minKernel: '4.8' } }),
      rule('newer', { includes: { minKernel: '6.2' } }),
      rule('older', { excludes: { minKernel: '6.1' } }),
    ],
  };
  assert.deepEqual(parse(profile).architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  assert.deepEqual(namesOf(profile), ['read', 'write', 'chown', 'clone', 'arch_prctl', 'ptrace']);
  const admin = new Set(['CAP_SYS_ADMIN']);
  assert.deepEqual(namesOf(profile, { capabilities: admin, architecture: 'arm64', kernel: [6, 12] }), [
    'read',
    'write',
    'mount',
    'ptrace',
    'newer',
  ]);
});

test('what is no profile is refused without a word of what stands in it', () => {
  for (const [text, message] of [
    ['root:x:0:0', /\/p.json is none: it is no JSON$/],
    ['{"defaultAction": "hunter2"}', /none: at defaultAction$/],
    [
      '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_LOG", "names": [7]}]}',
      /syscalls.0.names.0$/,
    ],
    ['[]', /at its root$/],
  ] as const)
    assert.throws(() => parse(text), { reason: 'Invalid', message });
});

test('a profile that wants somebody to listen is refused by name', () => {
  const notify = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mount'], action: 'SCMP_ACT_NOTIFY' }] };
  assert.throws(() => parse(notify), { reason: 'Unsupported', message: /SCMP_ACT_NOTIFY/ });
  assert.throws(() => parse({ defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x.sock' }), {
    reason: 'Unsupported',
  });
});
