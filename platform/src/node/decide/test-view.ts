/** Builds what decide() and computeStatus() look at, for their tests. */
import type { Container, Pod, PodSpec } from 'kubernetes-types/core/v1.js';
import type { ContainerRecord, PodView, SandboxRecord } from './model.ts';
import { specHash } from './spec-hash.ts';

export const nowMs = Date.parse('2026-01-02T03:04:05Z');

export function pod(spec: Partial<PodSpec> = {}, more: Partial<Pod> = {}): Pod {
  return {
    metadata: { name: 'p', namespace: 'n', uid: 'u', ...more.metadata },
    spec: { restartPolicy: 'Always', containers: [container('a')], ...spec },
    ...(more.status ? { status: more.status } : {}),
  };
}

export const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'i:1', ...more });
export const sidecar = (name: string, more: Partial<Container> = {}): Container =>
  container(name, { restartPolicy: 'Always', ...more });

export const sandbox = (more: Partial<SandboxRecord> = {}): SandboxRecord => ({
  id: 's0',
  attempt: 0,
  ready: true,
  createdAtMs: nowMs - 60_000,
  ips: ['10.0.0.1'],
  ...more,
});

export function record(name: string, more: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: `${name}-${more.attempt ?? 0}`,
    name,
    sandboxId: 's0',
    attempt: 0,
    state: 'running',
    createdAtMs: nowMs - 50_000,
    startedAtMs: nowMs - 50_000,
    finishedAtMs: more.state === 'exited' ? nowMs - 20_000 : 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: 'i:1',
    imageRef: 'sha256:i',
    specHash: specHash(container(name)),
    logPath: '',
    ...more,
  };
}

export const ended = (name: string, exitCode = 0, more: Partial<ContainerRecord> = {}): ContainerRecord =>
  record(name, { state: 'exited', exitCode, ...more });

export function view(more: Partial<PodView> = {}): PodView {
  return {
    pod: pod(),
    sandboxes: [sandbox()],
    containers: [],
    probes: new Map(),
    startFailures: new Map(),
    busy: new Set(),
    finalStatusWritten: false,
    cleanedUp: false,
    nowMs,
    ...more,
  };
}
