/**
 * The runtime seam: CRI v1 (kubernetes/cri-api, runtime.v1), as objects in process. The node calls it plainly; the CRI socket,
 * shimv2 and the OCI command line serve the very same objects. Calls and messages are CRI's own; nothing of ours is added to them
 * but annotations (annotations.ts).
 *
 * Volumes come as CRI mounts whose hostPath follows kubelet's layout (<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<name>/...):
 * configmap, secret, projected, downward-api are copied into the guest and kept in sync; empty-dir lives in the guest; a single
 * file (hosts, termination log) is copied in, and back when it is writable and the container has ended.
 */
import type * as cri from './generated/cri.ts';

/** The unary calls of CRI's RuntimeService that the runtime serves, named as in the proto with a small first letter. */
export type RuntimeService = Pick<
  cri.RuntimeService,
  | 'version'
  | 'runPodSandbox'
  | 'stopPodSandbox'
  | 'removePodSandbox'
  | 'podSandboxStatus'
  | 'listPodSandbox'
  | 'createContainer'
  | 'startContainer'
  | 'stopContainer'
  | 'removeContainer'
  | 'listContainers'
  | 'containerStatus'
  | 'updateContainerResources'
  | 'reopenContainerLog'
  | 'execSync'
  | 'containerStats'
  | 'listContainerStats'
  | 'podSandboxStats'
  | 'listPodSandboxStats'
  | 'status'
  | 'getContainerEvents'
  | 'runtimeConfig'
>;

export type ImageService = Pick<
  cri.ImageService,
  'listImages' | 'imageStatus' | 'pullImage' | 'removeImage' | 'imageFsInfo'
>;

/** A running exec, attach or port-forward. */
export interface StreamSession extends AsyncDisposable {
  /** Absent when stdin was not asked for. */
  readonly stdin?: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** Absent with a tty. */
  readonly stderr?: ReadableStream<Uint8Array>;
  resize(columns: number, rows: number): Promise<void>;
  /** Resolves when the process ended (exec), the container ended or detached (attach), the connection closed (port-forward). */
  readonly exited: Promise<{ exitCode: number }>;
}

/** The streaming calls, which CRI answers with a URL: in process they are sessions. */
export interface StreamingService {
  exec(request: cri.ExecRequest): Promise<StreamSession>;
  attach(request: cri.AttachRequest): Promise<StreamSession>;
  /** One connection to `port` on the Pod's loopback. */
  portForward(podSandboxId: string, port: number): Promise<StreamSession>;
}

export interface Runtime extends RuntimeService, ImageService, StreamingService {
  /** Adopts what a runtime before this one left running, finishes what was half done, removes what nobody owns. Call once, before anything else. */
  recover(): Promise<void>;
  /** Lets go of everything; Pods go on. */
  close(): Promise<void>;
}
