/**
 * The images seam: registry images become read-only block images that a machine can attach.
 *
 * Owns: pulling, verifying, unpacking, the content store on disk, block images, tags, garbage collection.
 * Does not own: who may use an image (node, pull secrets), mounting (agent). Every driver passes images/images-suite.ts.
 * Drivers: erofs (real), fake.
 */

import type { GarbageResult, GarbageThresholds } from './garbage.ts';

/** The config of an OCI image (image-spec config.md), as much as running a container needs. */
export interface ImageConfig {
  User?: string;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  StopSignal?: string;
  ExposedPorts?: Record<string, object>;
  Volumes?: Record<string, object>;
  Labels?: Record<string, string>;
}

export interface Image {
  /** Digest of the image config: `sha256:...`. */
  id: string;
  /** Normalised references with a tag: `docker.io/library/nginx:1.25`. */
  repoTags: string[];
  /** `registry/repo@sha256:...` of the manifests it was pulled by. */
  repoDigests: string[];
  /** Bytes on disk. */
  sizeBytes: number;
  architecture: string;
  os: string;
  config: ImageConfig;
  /** EROFS file on the host. */
  blockImagePath: string;
  createdAt?: string;
}

export interface RegistryAuth {
  username?: string;
  password?: string;
  identityToken?: string;
  registryToken?: string;
}

export interface PullProgress {
  phase: 'resolving' | 'downloading' | 'converting';
  /** Bytes so far and in all (compressed); total 0 while unknown. */
  doneBytes: number;
  totalBytes: number;
}

export interface ImageStore {
  /**
   * Idempotent; concurrent pulls of one image share the work. Verifies every digest. Throws NotFound (no such image or tag),
   * Unauthorized (with what the registry said), Invalid (digest mismatch, broken image), Timeout (registry stalls),
   * ServiceUnavailable (cannot reach), ResourceExhausted (disk full). After an error nothing half-made is left.
   */
  pull(
    reference: string,
    options?: { auth?: RegistryAuth; signal?: AbortSignal; onProgress?: (progress: PullProgress) => void },
  ): Promise<Image>;
  /** By reference, repo digest, image id or unambiguous id prefix (12+ characters). */
  get(reference: string): Promise<Image | undefined>;
  list(): Promise<Image[]>;
  /** Removes one tag (given a tag) or the whole image (given an id). Idempotent. Throws FailedPrecondition while in use (see pin). */
  remove(reference: string): Promise<void>;
  /** Imports an OCI layout or docker-save archive (tar, optionally gzip or zstd). `as` names the image without a name, or else the only one. */
  import(archivePath: string, options?: { as?: string }): Promise<Image[]>;
  /** Keeps the image's block image while `user` (a sandbox id) uses it; unpin is idempotent. Pins are on disk. */
  pin(imageId: string, user: string): Promise<void>;
  unpin(user: string): Promise<void>;
  usage(): Promise<{ usedBytes: number; images: number; path: string }>;
}

/** A power of stores: making room on their disk. */
export interface ImageGarbageCollector {
  /**
   * Once `highPercent` of the disk is used: lets go of kept layers, then removes images, longest unused first, until no more than `lowPercent` is.
   * Pinned images stay, and those used within `minAgeMs`. That it was not enough is for the caller to find in the result.
   */
  collectGarbage(thresholds: GarbageThresholds): Promise<GarbageResult>;
}

export interface PushProgress {
  doneBytes: number;
  totalBytes: number;
}

/** A power of stores that keep layers: giving images back to registries. */
export interface ImagePusher {
  /**
   * Pushes the image `from` (default: what `reference` names here) to the registry as `reference`. Returns the manifest's digest. Throws NotFound
   * (no such image here), FailedPrecondition (a layer the registry lacks is no longer kept), and what `pull` throws of registries.
   */
  push(
    reference: string,
    options?: {
      from?: string;
      auth?: RegistryAuth;
      signal?: AbortSignal;
      onProgress?: (progress: PushProgress) => void;
    },
  ): Promise<{ digest: string }>;
}
