/** Pods stay five minutes on a node that is gone or not ready, unless they say otherwise (plugin DefaultTolerationSeconds). */
import type { AdmissionPlugin } from './admission.ts';
import { createdPodSpec } from './pods.ts';

const tolerationSeconds = 300;
const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  mutate(request) {
    const spec = createdPodSpec(request);
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
