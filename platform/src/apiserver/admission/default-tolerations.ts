/** Pods stay five minutes on a node that is gone or not ready, unless they say otherwise (plugin DefaultTolerationSeconds). */
import type { AdmissionPlugin } from './admission.ts';
import { writtenPodSpec } from './pods.ts';

const tolerationSeconds = 300;
const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  mutate(request) {
    // Updates too: a client that applies its own list of tolerations again would otherwise take these away, which no update may.
    const spec = writtenPodSpec(request);
    if (!spec) return;
    for (const key of taints) {
      const tolerates = (spec.tolerations ?? []).some(
        (one) => (!one.key || one.key === key) && (!one.effect || one.effect === 'NoExecute'),
      );
      if (tolerates) continue;
      spec.tolerations = [
        ...(spec.tolerations ?? []),
        { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds },
      ];
    }
  },
};
