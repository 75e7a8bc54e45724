/** What an API server makes for itself before anyone asks: the namespaces that always are. */
import { isReason } from '@sampan/api/errors.ts';
import { systemUser } from './auth/user.ts';
import type { VerbContext } from './verbs/context.ts';
import { create } from './verbs/create.ts';

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Idempotent. */
export async function ensureSystemNamespaces(context: VerbContext): Promise<void> {
  const kind = context.kinds.find('', 'v1', 'namespaces');
  if (!kind) return;
  const user = systemUser('system:apiserver');
  const caller = { user, dryRun: false, fieldManager: 'apiserver', fieldValidation: 'Strict', warn() {} } as const;
  for (const name of systemNamespaces) {
    try {
      await create(context, { kind, namespace: undefined, body: { metadata: { name } }, caller });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
}
