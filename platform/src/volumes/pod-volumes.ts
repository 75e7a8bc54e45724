/**
 * The volumes of Pods as files on the node, brought up to date as often as asked.
 * Owns: what is in them, who may read it, when it is next to be renewed. Does not own: getting them into the machine (runtime),
 * noticing that an object changed (node).
 */
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import type { Volume } from 'kubernetes-types/core/v1.js';
import type { Clock } from '../base/clock.ts';
import { writeVolume } from './atomic-writer.ts';
import { checkHostPath } from './host-path.ts';
import { kindOf, type VolumeKind, volumePath } from './paths.ts';
import { renderConfigMap } from './render/config-map.ts';
import { renderDownwardApi } from './render/downward-api.ts';
import type { Payload } from './render/payload.ts';
import { defaultMode, renderProjected } from './render/projected.ts';
import { renderSecret } from './render/secret.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import type { ObjectSource, PodFacts, RequestToken } from './sources.ts';

export interface PodVolumesOptions {
  objects: ObjectSource;
  requestToken: RequestToken;
  clock: Clock;
}

/** A volume that cannot be had; the message is kubelet's, as its FailedMount event carries it. */
export class VolumeError extends SampanError {
  readonly volume: string;

  constructor(volume: string, cause: unknown) {
    super(
      'FailedPrecondition',
      `MountVolume.SetUp failed for volume "${volume}" : ${messageOf(cause)}`,
      {},
      { cause: cause as Error },
    );
    this.name = 'VolumeError';
    this.volume = volume;
  }
}

export class PodVolumes {
  readonly #options: PodVolumesOptions;
  readonly #tokens: ServiceAccountTokens;

  constructor(options: PodVolumesOptions) {
    this.#options = options;
    this.#tokens = new ServiceAccountTokens(options.requestToken, options.clock);
  }

  /** Idempotent. Throws VolumeError for the first volume that cannot be had; the others are brought up to date all the same. */
  async sync(directory: string, facts: PodFacts): Promise<{ refreshAtMs?: number }> {
    const results = await Promise.allSettled(
      (facts.pod.spec?.volumes ?? []).map((volume) => this.#one(directory, facts, volume)),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    const times = results.map((result) => (result.status === 'fulfilled' ? result.value : undefined));
    const soonest = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    return Number.isFinite(soonest) ? { refreshAtMs: soonest } : {};
  }

  /** Removes all volumes of a Pod. Idempotent. */
  async remove(directory: string, uid: string): Promise<void> {
    this.#tokens.forget(uid);
    await rm(join(directory, 'volumes'), { recursive: true, force: true });
  }

  async #one(directory: string, facts: PodFacts, volume: Volume): Promise<number | undefined> {
    try {
      const kind = kindOf(volume);
      if (!kind) throw unsupported(volume);
      if (kind === 'hostPath') {
        await checkHostPath(volume.hostPath!);
        return undefined;
      }
      const path = volumePath(directory, kind, volume.name);
      const gid = facts.pod.spec?.securityContext?.fsGroup;
      if (kind === 'emptyDir') {
        await makeEmptyDir(path, gid);
        return undefined;
      }
      const { payload, refreshAtMs } = await this.#render(facts, volume, kind);
      await writeVolume(path, { files: payload, ...(gid !== undefined ? { gid } : {}) }, this.#options.clock.now());
      return refreshAtMs;
    } catch (error) {
      throw new VolumeError(volume.name, error);
    }
  }

  async #render(
    facts: PodFacts,
    volume: Volume,
    kind: Exclude<VolumeKind, 'emptyDir' | 'hostPath'>,
  ): Promise<{ payload: Payload; refreshAtMs?: number }> {
    const { objects } = this.#options;
    const namespace = facts.pod.metadata?.namespace ?? '';
    const mode = volume[kind]?.defaultMode ?? defaultMode;
    switch (kind) {
      case 'configMap':
        return { payload: await renderConfigMap(objects, namespace, { ...volume.configMap, mode }) };
      case 'secret':
        return {
          payload: await renderSecret(objects, namespace, { ...volume.secret, name: volume.secret?.secretName, mode }),
        };
      case 'downwardAPI':
        return { payload: renderDownwardApi(facts, volume.downwardAPI?.items ?? [], mode) };
      case 'projected':
        return renderProjected({ facts, objects, tokens: this.#tokens }, volume.projected ?? { sources: [] });
    }
  }
}

/** What is in an emptyDir lives in the guest; the node's directory says by its mode and group who may use it. */
async function makeEmptyDir(path: string, gid: number | undefined): Promise<void> {
  await mkdir(path, { recursive: true });
  if (gid !== undefined) await chown(path, 0, gid);
  await chmod(path, gid === undefined ? 0o777 : 0o2777);
}

function unsupported(volume: Volume): SampanError {
  const kind = Object.keys(volume).find((key) => key !== 'name');
  return new SampanError(
    'Unsupported',
    `volumes of kind ${kind} are not supported by this node; it has configMap, secret, projected, downwardAPI, emptyDir and hostPath`,
  );
}
