import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampanError } from '@sampan/api/errors.ts';
import { mendOf } from './failure.ts';

test('who names what is not there is told how to see what is', () => {
  const pod = new SampanError('NotFound', 'pods "x" not found', { kind: 'pods', name: 'x' });
  assert.match(mendOf(pod) ?? '', /sampan ps -A/);
  const image = new SampanError('NotFound', 'image "x" not found', { kind: 'images', name: 'x' });
  assert.match(mendOf(image) ?? '', /sampan image ls/);
  const taken = new SampanError('AlreadyExists', 'pods "x" already exists', { kind: 'pods', name: 'x' });
  assert.match(mendOf(taken) ?? '', /sampan rm/);
  assert.equal(mendOf(new SampanError('Invalid', 'x')), undefined);
});
