/** exec into a running container through CRI's ExecSync: what a probe costs. */
import type { CriPeer } from './cri-peers.ts';
import { removePods, startPod } from './crowd.ts';

export interface CriExec extends AsyncDisposable {
  /** Milliseconds of one ExecSync of `true`, a static program. */
  exec(): Promise<number>;
}

export async function openCriExec(peer: CriPeer): Promise<CriExec> {
  const { client } = peer;
  const containerId = await startPod(peer, 0);
  return {
    async exec() {
      const began = performance.now();
      const { exitCode } = await client.execSync({ containerId, cmd: ['true'], timeout: 20n });
      if (exitCode) throw new Error(`exec through ${peer.name} ended with ${exitCode}`);
      return performance.now() - began;
    },
    [Symbol.asyncDispose]: () => removePods(peer),
  };
}
