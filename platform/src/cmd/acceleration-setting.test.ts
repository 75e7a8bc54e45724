import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { accelerationSetting } from './acceleration-setting.ts';

test('the acceleration is what the setting names, found out without one, and nothing else', () => {
  assert.deepEqual([undefined, '', 'kvm', 'tcg'].map(accelerationSetting), [undefined, undefined, 'kvm', 'tcg']);
  assert.throws(
    () => accelerationSetting('xen'),
    (error) => isReason(error, 'Invalid') && /SAMPAN_ACCELERATION=xen/.test(error.message),
  );
});
