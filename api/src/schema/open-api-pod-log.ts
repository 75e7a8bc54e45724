/** What an OpenAPI document says of a Pod's log: the one subresource of Pods that is neither an object nor a connection. */
import { inPath, query } from './open-api-parameters.ts';

const gvk = { group: '', version: 'v1', kind: 'Pod' };

export const podLogPath: Record<string, object> = {
  '/api/v1/namespaces/{namespace}/pods/{name}/log': {
    get: {
      description: 'read log of the specified Pod',
      operationId: 'readCoreV1NamespacedPodLog',
      tags: ['core_v1'],
      parameters: [
        query('container', 'Whose log; may be left out where the Pod has one container.'),
        query('follow', 'Go on with what is written later.', 'boolean'),
        query('previous', 'Of the run before this one.', 'boolean'),
        query('limitBytes', 'The most bytes the answer has.', 'integer'),
        query('sinceSeconds', 'Only lines that are no older.', 'integer'),
        query('tailLines', 'Only so many of the last lines.', 'integer'),
        query('timestamps', 'Each line begins with its time.', 'boolean'),
      ],
      responses: { '200': { description: 'OK', content: { 'text/plain': { schema: { type: 'string' } } } } },
      'x-kubernetes-action': 'get',
      'x-kubernetes-group-version-kind': gvk,
    },
    parameters: [inPath('name', 'name of the Pod'), inPath('namespace', 'the namespace')],
  },
};
