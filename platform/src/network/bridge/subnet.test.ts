import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { deviceNames, macOf, maxDeviceName, tapName } from './names.ts';
import { contains, formatAddress, formatSubnet, overlaps, parseAddress, parseSubnet, pickSubnet } from './subnet.ts';

test('addresses and subnets survive reading and writing, to the top of the number range', () => {
  for (const text of ['0.0.0.0', '10.64.0.1', '192.168.255.254', '255.255.255.255']) {
    assert.equal(formatAddress(parseAddress(text)), text);
  }
  assert.equal(formatSubnet(parseSubnet('10.64.0.0/16')), '10.64.0.0/16');
});

test('what is no subnet is refused by name', () => {
  for (const text of ['10.0.0.0', '10.0.0.1/16', '10.0.0.0/31', '10.0.0.0/7', '10.0.0.256/24', 'x/24', '10.0.0.0/2x']) {
    assert.throws(
      () => parseSubnet(text),
      (error) => isReason(error, 'Invalid') && error.message.includes(text.split('/')[0]!),
    );
  }
});

test('a picked subnet is the same for the same tag and overlaps nothing taken', () => {
  const first = pickSubnet('abc123', []);
  assert.deepEqual(pickSubnet('abc123', []), first);
  const second = pickSubnet('abc123', [{ base: first.base + 300, prefixLength: 32 }]);
  assert.ok(!overlaps(first, second));
  assert.ok(contains(parseSubnet('10.64.0.0/10'), second.base));
  assert.throws(
    () => pickSubnet('abc123', [parseSubnet('10.0.0.0/8')]),
    (error) => isReason(error, 'ResourceExhausted'),
  );
});

test('device names fit the kernel for every address of the widest subnet', () => {
  const names = deviceNames('abcdef1');
  assert.ok(names.bridge.length <= maxDeviceName);
  assert.ok(tapName(names, 2 ** 24 - 2).length <= maxDeviceName);
  assert.throws(
    () => deviceNames('a-b'),
    (error) => isReason(error, 'Invalid'),
  );
  assert.match(macOf('abcdef1', parseAddress('10.64.1.2')), /^02:[0-9a-f]{2}:0a:40:01:02$/);
});
