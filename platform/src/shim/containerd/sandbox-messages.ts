/** Messages of containerd's sandbox API for shims (containerd.runtime.sandbox.v1). Of the request's ids alone there is `sandboxRequest`. */
import { Message, nested, pairs, repeated, string, uint32 } from '../ttrpc/protobuf.ts';
import { any, mount, timestamp } from './task-messages.ts';

export const createSandboxRequest = new Message({
  sandboxId: string(1),
  bundlePath: string(2),
  rootfs: repeated(nested(3, mount)),
  options: nested(4, any),
  netnsPath: string(5),
  annotations: pairs(6),
});

/** Of Start, Platform, Stop, Wait, Status, Ping, Shutdown and Metrics: what they name. */
export const sandboxRequest = new Message({ sandboxId: string(1) });

export const startSandboxResponse = new Message({ pid: uint32(1), createdAt: nested(2, timestamp) });

const platform = new Message({ os: string(1), architecture: string(2) });
export const platformResponse = new Message({ platform: nested(1, platform) });

export const waitSandboxResponse = new Message({ exitStatus: uint32(1), exitedAt: nested(2, timestamp) });

export const sandboxStatusResponse = new Message({
  sandboxId: string(1),
  pid: uint32(2),
  state: string(3),
  createdAt: nested(5, timestamp),
  exitedAt: nested(6, timestamp),
});
/** CRI's PodSandboxState by its names. */
export const sandboxState = { ready: 'SANDBOX_READY', notready: 'SANDBOX_NOTREADY' } as const;

const metric = new Message({ timestamp: nested(1, timestamp), id: string(2), data: nested(3, any) });
export const sandboxMetricsResponse = new Message({ metrics: nested(1, metric) });
