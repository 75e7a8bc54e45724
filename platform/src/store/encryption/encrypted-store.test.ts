import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { createMemoryStore } from '../memory/memory-store.ts';
import { storeSuite } from '../store-suite.ts';
import { encryptedStore, keyIdsIn, sealAgain } from './encrypted-store.ts';
import { type EncryptionKey, parseKeys } from './keys.ts';

const newKey = (): EncryptionKey => parseKeys(randomBytes(32).toString('base64'), 'test')[0]!;
const [first, second] = [newKey(), newKey()];
const prefixes = ['/secrets/'];
const text = (value: Uint8Array | undefined) => Buffer.from(value ?? []).toString();

storeSuite('encrypted', async ({ maxEvents }) => {
  const plain = createMemoryStore({ watchLimits: { maxEvents, maxBytes: 64 << 20 } });
  const store = encryptedStore(plain, { keys: [first], prefixes: ['/'] });
  return { store, dispose: () => store.close() };
});

describe('an encrypted store', () => {
  test('leaves no plain value of what it covers, and everything else as it is', async () => {
    const plain = createMemoryStore();
    const store = encryptedStore(plain, { keys: [first], prefixes });
    await store.commit([
      { key: '/secrets/a', value: Buffer.from('hunter2') },
      { key: '/others/a', value: Buffer.from('hunter2') },
    ]);
    const stored = (await plain.get('/secrets/a'))?.value;
    assert.match(text(stored), new RegExp(`^sampan:aes256gcm:v1:${first.id}:`));
    assert.doesNotMatch(text(stored), /hunter2/);
    assert.equal(text((await plain.get('/others/a'))?.value), 'hunter2');
    assert.equal(text((await store.get('/secrets/a'))?.value), 'hunter2');
  });

  test('reads what was written before there was a key, and encrypts it when told', async () => {
    const plain = createMemoryStore();
    await plain.commit([{ key: '/secrets/old', value: Buffer.from('plain') }]);
    const store = encryptedStore(plain, { keys: [first], prefixes });
    assert.equal(text((await store.get('/secrets/old'))?.value), 'plain');
    assert.equal(await sealAgain(plain, { keys: [first], prefixes }), 1);
    assert.doesNotMatch(text((await plain.get('/secrets/old'))?.value), /plain/);
    assert.equal(text((await store.get('/secrets/old'))?.value), 'plain');
    assert.equal(await sealAgain(plain, { keys: [first], prefixes }), 0);
  });

  test('goes over to a new key while the old one is still there', async () => {
    const plain = createMemoryStore();
    await encryptedStore(plain, { keys: [first], prefixes }).commit([{ key: '/secrets/a', value: Buffer.from('one') }]);
    const store = encryptedStore(plain, { keys: [second, first], prefixes });
    assert.equal(text((await store.get('/secrets/a'))?.value), 'one');
    await sealAgain(plain, { keys: [second, first], prefixes });
    assert.deepEqual([...(await keyIdsIn(plain, prefixes))], [second.id]);
    const without = encryptedStore(plain, { keys: [second], prefixes });
    assert.equal(text((await without.get('/secrets/a'))?.value), 'one');
    await assert.rejects(sealAgain(plain, { keys: [first], prefixes }), (error) =>
      isReason(error, 'FailedPrecondition'),
    );
  });

  test('does not take one value for another', async () => {
    const plain = createMemoryStore();
    const store = encryptedStore(plain, { keys: [first], prefixes });
    await store.commit([{ key: '/secrets/a', value: Buffer.from('of a') }]);
    const moved = (await plain.get('/secrets/a'))!.value;
    await plain.commit([{ key: '/secrets/b', value: moved }]);
    assert.notEqual(text((await store.get('/secrets/b'))?.value), 'of a');
    await assert.rejects(sealAgain(plain, { keys: [second, first], prefixes }), /\/secrets\/b was changed/);
  });
});

test('a key file that is none is refused by its line', () => {
  assert.throws(() => parseKeys('# new\n\nAAAA\n', '/etc/keys'), /\/etc\/keys, line 3: a key is 32 bytes in base64/);
  assert.throws(() => parseKeys('# none\n', '/etc/keys'), /holds no key/);
});
