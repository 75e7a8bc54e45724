import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatIndexList, indexSet, parseIndexList } from './index-list.ts';
import { jobKind } from './job.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects are built and broken field by field
type Loose = any;

const said = (causes: { field?: string; message: string }[]) =>
  causes.map(({ field, message }) => `${field}: ${message}`);

/** As the server would have it before validation. */
function admitted(spec: object = {}, template: object = {}): Loose {
  const pod = { restartPolicy: 'Never', containers: [{ name: 'a', image: 'x' }], ...template };
  const job: Loose = {
    metadata: { name: 'j', namespace: 'default', uid: 'u' },
    spec: { template: { spec: pod }, ...spec },
  };
  assert.deepEqual(jobKind.checkStructure(job), { wrongTypes: [], unknownFields: [] });
  jobKind.applyDefaults(job);
  jobKind.prepareCreate(job);
  return job;
}

const problems = (spec: object = {}, template: object = {}) => said(jobKind.validateCreate(admitted(spec, template)));

function update(old: Loose, change: (job: Loose) => void): string[] {
  const job = structuredClone(old);
  change(job);
  jobKind.applyDefaults(job);
  jobKind.prepareUpdate(job, old, 'object');
  return said(jobKind.validateUpdate(job, old, 'object'));
}

describe('a new Job', () => {
  it('gets the defaults and the labels that only the server can know', () => {
    const { spec, metadata } = admitted();
    const { completions, parallelism, backoffLimit, completionMode, suspend, podReplacementPolicy } = spec;
    assert.deepEqual([completions, parallelism, backoffLimit], [1, 1, 6]);
    assert.deepEqual([completionMode, suspend, podReplacementPolicy], ['NonIndexed', false, 'TerminatingOrFailed']);
    const labels = {
      'controller-uid': 'u',
      'job-name': 'j',
      'batch.kubernetes.io/controller-uid': 'u',
      'batch.kubernetes.io/job-name': 'j',
    };
    assert.deepEqual(spec.template.metadata.labels, labels);
    assert.deepEqual(spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } });
    assert.deepEqual(metadata.labels, labels);
    assert.deepEqual(problems(), []);
  });

  it('has no completions where only parallelism is given', () => {
    const { spec } = admitted({ parallelism: 3 });
    assert.deepEqual([spec.completions, spec.parallelism], [undefined, 3]);
  });

  it('replaces only what has failed where a failure policy looks at how', () => {
    const rules = [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }];
    const { spec } = admitted({ podFailurePolicy: { rules } });
    assert.deepEqual(
      [spec.podReplacementPolicy, spec.podFailurePolicy.rules[0].onPodConditions[0].status],
      ['Failed', 'True'],
    );
  });

  const table: [what: string, spec: object, template: object, problem: RegExp][] = [
    [
      'Pods that never end',
      {},
      { restartPolicy: 'Always' },
      /^spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"$/,
    ],
    [
      'a negative number',
      { parallelism: -1 },
      {},
      /^spec.parallelism: Invalid value: -1: must be greater than or equal to 0$/,
    ],
    ['an unknown completion mode', { completionMode: 'Odd' }, {}, /^spec.completionMode: Unsupported value: "Odd"/],
    [
      'indexes without a number of them',
      { completionMode: 'Indexed', parallelism: 1 },
      {},
      /^spec.completions: Required value: when completion mode is Indexed$/,
    ],
    [
      'limits by index without indexes',
      { backoffLimitPerIndex: 1 },
      {},
      /^spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode$/,
    ],
    [
      'a selector of the user’s',
      { selector: { matchLabels: { a: 'b' } } },
      {},
      /^spec.selector: Invalid value: .*`selector` not auto-generated$/,
    ],
    [
      'an exit code policy over restarts',
      { podFailurePolicy: { rules: [] } },
      { restartPolicy: 'OnFailure' },
      /only "Never" is supported when podFailurePolicy is specified$/,
    ],
    [
      'exit code 0 as a failure',
      { podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [0] } }] } },
      {},
      /must not be 0 for the In operator$/,
    ],
    [
      'a success policy without indexes',
      { successPolicy: { rules: [{ succeededCount: 1 }] } },
      {},
      /^spec.successPolicy: .*requires indexed completion mode$/,
    ],
    ['a Pod that cannot be', {}, { containers: [] }, /^spec.template.spec.containers: Required value$/],
  ];
  for (const [what, spec, template, problem] of table) {
    it(`is refused with ${what}`, () => {
      const found = problems(spec, template);
      assert.ok(
        found.some((one) => problem.test(one)),
        found.join('\n'),
      );
    });
  }
});

describe('a Job that stands', () => {
  it('may be suspended, sped up and given another limit', () => {
    const old = admitted({ completions: 3 });
    assert.deepEqual(
      update(old, ({ spec }) => Object.assign(spec, { suspend: true, parallelism: 2, backoffLimit: 1 })),
      [],
    );
  });

  it('may not change what its Pods are, how many it needs, or which are its own', () => {
    const old = admitted({ completions: 3 });
    assert.match(update(old, ({ spec }) => (spec.completions = 4))[0]!, /^spec.completions: .*field is immutable$/);
    assert.match(
      update(old, ({ spec }) => (spec.template.spec.containers[0].image = 'y'))[0]!,
      /^spec.template: .*field is immutable$/,
    );
    assert.match(
      update(old, ({ spec }) => (spec.selector.matchLabels = { a: 'b' }))[0]!,
      /^spec.selector: .*field is immutable$/,
    );
    assert.match(
      update(old, ({ spec }) => (spec.completionMode = 'Indexed'))[0]!,
      /^spec.completionMode: .*field is immutable$/,
    );
  });

  it('may say anew where its Pods go until the first of them was started', () => {
    const old = admitted({ suspend: true });
    const move = ({ spec }: Loose) => (spec.template.spec.nodeSelector = { disk: 'fast' });
    assert.deepEqual(update(old, move), []);
    assert.match(update({ ...old, status: { startTime: '2024-01-01T00:00:00Z' } }, move)[0]!, /^spec.template: /);
  });

  it('with indexes grows and shrinks in step', () => {
    const old = admitted({ completionMode: 'Indexed', completions: 3, parallelism: 3 });
    assert.deepEqual(
      update(old, ({ spec }) => Object.assign(spec, { completions: 5, parallelism: 5 })),
      [],
    );
    assert.match(
      update(old, ({ spec }) => (spec.completions = 5))[0]!,
      /can only be modified in tandem with spec.parallelism/,
    );
  });
});

describe('lists of indexes', () => {
  it('are written as ranges of three and more, and read again', () => {
    assert.equal(formatIndexList([7, 1, 3, 4, 5, 9, 10]), '1,3-5,7,9,10');
    assert.deepEqual([...indexSet('1,3-5,7', 5)], [1, 3, 4]);
    assert.deepEqual(parseIndexList('0,2-4', 5), [
      { first: 0, last: 0 },
      { first: 2, last: 4 },
    ]);
  });

  for (const wrong of ['1,1', '3-1', '5', 'a', '1-', '2,1']) {
    it(`"${wrong}" is none of five`, () => assert.throws(() => parseIndexList(wrong, 5), RangeError));
  }
});
