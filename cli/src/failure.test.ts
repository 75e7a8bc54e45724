import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Reason, SampanError } from '@sampan/api/errors.ts';
import { mendOf } from './failure.ts';

test('who names what is not there is told how to see what is', () => {
  const pod = new SampanError('NotFound', 'pods "x" not found', { kind: 'pods', name: 'x' });
  assert.match(mendOf(pod) ?? '', /sampan ps -A/);
  assert.match(mendOf(new SampanError('NotFound', 'image "x" not found')) ?? '', /sampan image ls/);
  const taken = new SampanError('AlreadyExists', 'pods "x" already exists', { kind: 'pods', name: 'x' });
  assert.match(mendOf(taken) ?? '', /sampan rm/);
  assert.equal(mendOf(new SampanError('Invalid', 'x')), undefined);
});

test('a pull that fails is told apart: the name, the way there, the credentials', () => {
  const mend = (reason: Reason, message: string) => mendOf(new SampanError(reason, message)) ?? '';
  assert.match(mend('NotFound', 'r/app:2 does not exist: manifest unknown'), /the tag/);
  assert.match(mend('ServiceUnavailable', 'cannot reach r: connect ECONNREFUSED'), /network of this host/);
  assert.match(mend('Unauthorized', 'r/app: the registry wants (other) credentials: no'), /--user NAME/);
});
