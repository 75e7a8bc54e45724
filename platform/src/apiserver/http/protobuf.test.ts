import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '@sampan/api/errors.ts';
import { decodeProtobuf } from './protobuf.ts';

/** The wire, written by hand: [number, value], where a nested list is a message. */
type Fields = [number, string | number | Buffer | Fields][];

function encode(fields: Fields): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.concat([varint(number * 8), varint(value)]);
      const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.isBuffer(value) ? value : encode(value);
      return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
    }),
  );
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

const envelope = (apiVersion: string, kind: string, object: Fields) =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    encode([
      [
        1,
        [
          [1, apiVersion],
          [2, kind],
        ],
      ],
      [2, object],
    ]),
  ]);

test('a body that kubectl 1.33 sent is read as the JSON it stands for', () => {
  const sent =
    '6b3873000a2d0a1861757468656e7469636174696f6e2e6b38732e696f2f763112115' +
    '3656c665375626a656374526576696577121a0a100a0012001a002200' +
    '2a00320038004200120' +
    '60a040a0012001a002200';
  const { apiVersion, kind, metadata } = decodeProtobuf(Buffer.from(sent, 'hex'));
  assert.deepEqual([apiVersion, kind, metadata], ['authentication.k8s.io/v1', 'SelfSubjectReview', {}]);
});

test('every form of field is read: embedded structs, lists, maps, times, quantities, numbers and names, bytes', () => {
  const container: Fields = [
    [1, 'main'],
    [3, 'sleep'],
    [3, '60'],
    [
      8,
      [
        [
          1,
          [
            [1, 'memory'],
            [2, [[1, '64Mi']]],
          ],
        ],
      ],
    ],
    [
      10,
      [
        [
          1,
          [
            [
              2,
              [
                [1, '/health'],
                [
                  2,
                  [
                    [1, 1],
                    [3, 'http'],
                  ],
                ],
              ],
            ],
          ],
        ],
        [2, 0],
        [4, 10],
      ],
    ],
  ];
  const pod: Fields = [
    [
      1,
      [
        [1, 'p'],
        [8, [[1, 1_700_000_000]]],
        [9, []],
        [
          11,
          [
            [1, 'app'],
            [2, 'web'],
          ],
        ],
      ],
    ],
    [
      2,
      [
        [
          1,
          [
            [1, 'data'],
            [2, [[2, []]]],
          ],
        ],
        [2, container],
        [4, 0],
      ],
    ],
  ];
  assert.deepEqual(decodeProtobuf(envelope('v1', 'Pod', pod)), {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', creationTimestamp: '2023-11-14T22:13:20Z', labels: { app: 'web' } },
    spec: {
      volumes: [{ name: 'data', emptyDir: {} }],
      containers: [
        {
          name: 'main',
          command: ['sleep', '60'],
          resources: { limits: { memory: '64Mi' } },
          livenessProbe: { httpGet: { path: '/health', port: 'http' }, periodSeconds: 10 },
        },
      ],
      // A pointer in Go: the 0 was meant.
      terminationGracePeriodSeconds: 0,
    },
  });
  const secret: Fields = [
    [
      2,
      [
        [1, 'key'],
        [2, Buffer.from([0, 255])],
      ],
    ],
  ];
  assert.deepEqual(decodeProtobuf(envelope('v1', 'Secret', secret)).data, { key: 'AP8=' });
});

test('a map cannot reach the prototype of objects', () => {
  const data: Fields = [
    [
      2,
      [
        [1, '__proto__'],
        [2, 'x'],
      ],
    ],
  ];
  const decoded = decodeProtobuf(envelope('v1', 'ConfigMap', data)).data as object;
  assert.deepEqual(Object.entries(decoded), [['__proto__', 'x']]);
  assert.equal(({} as { x?: string }).x, undefined);
});

test("a custom definition's schema is read: what is one thing or another in JSON is a message of both", () => {
  const of = (type: string): Fields => [[5, type]];
  const schema: Fields = [
    [5, 'object'],
    // items: a schema; additionalProperties: a schema, and a mere yes; default: JSON.
    [
      29,
      [
        [1, 'list'],
        [
          2,
          [
            [5, 'array'],
            [24, [[1, of('string')]]],
          ],
        ],
      ],
    ],
    [
      29,
      [
        [1, 'map'],
        [
          2,
          [
            [5, 'object'],
            [
              30,
              [
                [1, 1],
                [2, of('integer')],
              ],
            ],
          ],
        ],
      ],
    ],
    [
      29,
      [
        [1, 'open'],
        [
          2,
          [
            [5, 'object'],
            [30, [[1, 1]]],
          ],
        ],
      ],
    ],
    [
      29,
      [
        [1, 'count'],
        [
          2,
          [
            [5, 'integer'],
            [8, [[1, '3']]],
            [38, 1],
            [39, 0],
            [40, 0],
          ],
        ],
      ],
    ],
  ];
  const version: Fields = [
    [1, 'v1'],
    [2, 1],
    [4, [[1, schema]]],
    [5, [[1, []]]],
  ];
  const body = envelope('apiextensions.k8s.io/v1', 'CustomResourceDefinition', [
    [
      2,
      [
        [1, 'example.com'],
        [7, version],
      ],
    ],
  ]);
  const { spec } = decodeProtobuf(body) as { spec: { group: string; versions: Record<string, unknown>[] } };
  assert.equal(spec.group, 'example.com');
  assert.deepEqual(spec.versions[0], {
    name: 'v1',
    served: true,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: {
          list: { type: 'array', items: { type: 'string' } },
          map: { type: 'object', additionalProperties: { type: 'integer' } },
          open: { type: 'object', additionalProperties: true },
          count: { type: 'integer', default: 3, 'x-kubernetes-preserve-unknown-fields': true },
        },
      },
    },
    subresources: { status: {} },
  });
});

const broken: [string, Buffer][] = [
  ['no envelope', Buffer.from('{"kind":"Pod"}')],
  ['an unknown kind', envelope('v1', 'Gadget', [])],
  ['an unknown field', envelope('v1', 'ConfigMap', [[99, 'x']])],
  ['a field of another wire type', envelope('v1', 'ConfigMap', [[1, 7]])],
  ['a length beyond the end', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x12, 0x7f, 0x00])])],
  ['a number without an end', Buffer.concat([Buffer.from('k8s\0'), Buffer.alloc(12, 0xff)])],
  ['text that is no UTF-8', envelope('v1', 'ConfigMap', [[1, [[1, Buffer.from([0xff])]]]])],
];
for (const [what, bytes] of broken) {
  test(`${what} is refused as a bad request`, () => {
    assert.throws(
      () => decodeProtobuf(bytes),
      (error) => isReason(error, 'BadRequest'),
    );
  });
}

test("a list in a map comes in a message of its own: what a webhook's user has beside its name", () => {
  const spec: Fields = [
    [3, 'ann'],
    [
      5,
      [
        [1, 'authentication.kubernetes.io/credential-id'],
        [
          2,
          [
            [1, 'X509SHA256=1'],
            [1, 'X509SHA256=2'],
          ],
        ],
      ],
    ],
    [5, [[1, 'none']]],
  ];
  const body = envelope('authorization.k8s.io/v1', 'SubjectAccessReview', [[2, spec]]);
  assert.deepEqual(decodeProtobuf(body).spec, {
    user: 'ann',
    extra: { 'authentication.kubernetes.io/credential-id': ['X509SHA256=1', 'X509SHA256=2'], none: [] },
  });
});
