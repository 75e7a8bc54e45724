import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseExecOptions } from './exec.ts';

test("what Kubernetes' exec cannot be told is refused with a command that does it", () => {
  const refused = (options: object, mend: RegExp) =>
    assert.throws(() => refuseExecOptions({ namespace: 'default', ...options }, 'ls -l'), { mend });
  refused({ env: 'A=b' }, /^-- env A=b ls -l$/);
  refused({ workdir: '/tmp' }, /^-- sh -c 'cd \/tmp && ls -l'$/);
  refused({ user: 'www-data' }, /su www-data/);
  refused({ detach: true }, /&'$/);
  refuseExecOptions({ namespace: 'default', interactive: true, tty: true }, 'sh');
});
