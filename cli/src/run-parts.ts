/** Parts of the Pod of `sampan run` that are said as docker and podman say them: ports, directories of the host, users. Pure but for a look at the host. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Failure } from './failure.ts';

export interface Port {
  containerPort: number;
  hostPort: number;
  hostIP?: string;
  protocol: 'TCP' | 'UDP' | 'SCTP';
}

const numbers = /^(?:(\[[^\]]+\]|[^:]*):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp|sctp))?$/i;

/** `-p [address:]host:container[/protocol]`. */
export function portOf(text: string): Port {
  const [, address = '', host = '', container = '', protocol = 'tcp'] = numbers.exec(text) ?? [];
  const [hostPort, containerPort] = [Number(host), Number(container)];
  if (!(hostPort > 0 && hostPort < 65536 && containerPort > 0 && containerPort < 65536))
    throw new Failure(`-p ${text} names no two ports`, {
      why: "wanted is a port of this host and the container's, with a colon between; none is chosen for you",
      mend: 'write -p 8080:80, -p 127.0.0.1:8080:80 or -p 5353:53/udp',
    });
  const hostIP = address.replace(/^\[|\]$/g, '');
  return {
    containerPort,
    hostPort,
    ...(hostIP ? { hostIP } : {}),
    protocol: protocol.toUpperCase() as Port['protocol'],
  };
}

export interface Mount {
  volume: { name: string; hostPath: { path: string } };
  volumeMount: { name: string; mountPath: string; readOnly?: boolean };
}

/** `-v path-of-the-host:path-in-the-container[:ro]`, the `index`th of them. A path that starts with a dot is meant from here. */
export function mountOf(text: string, index: number): Mount {
  const [from = '', mountPath = '', mode, ...more] = text.split(':');
  const wrong = (why: string, mend = 'write -v /srv/data:/data or -v ./data:/data:ro') =>
    new Failure(`-v ${text} cannot be mounted`, { why, mend });
  if (!/^[./]/.test(from) && mountPath)
    throw wrong(
      `"${from}" is no path; there are no named volumes yet`,
      'give a path of this host, such as -v /srv/data:/data; an emptyDir in a manifest lasts as long as its Pod',
    );
  if (!from || !mountPath.startsWith('/') || more.length > 0) throw wrong('wanted are two paths with a colon between');
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') throw wrong(`of modes there are ro and rw, not ${mode}`);
  const path = resolve(from);
  if (!existsSync(path)) throw wrong(`${path} is not there`, `mkdir -p ${path}`);
  const name = `host-${index}`;
  return {
    volume: { name, hostPath: { path } },
    volumeMount: { name, mountPath, ...(mode === 'ro' ? { readOnly: true } : {}) },
  };
}

/** `-u uid[:gid]`. */
export function securityOf(user: string): { runAsUser: number; runAsGroup?: number } {
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user) ?? [];
  if (uid === undefined)
    throw new Failure(`-u ${user} is no number`, {
      why: 'Kubernetes knows users and groups by number alone',
      mend: 'write -u 1000 or -u 1000:1000; id in the image tells which',
    });
  return { runAsUser: Number(uid), ...(gid === undefined ? {} : { runAsGroup: Number(gid) }) };
}

const pullPolicies: Record<string, string> = {
  always: 'Always',
  ifnotpresent: 'IfNotPresent',
  missing: 'IfNotPresent',
  never: 'Never',
};

/** As Kubernetes writes it, or docker. */
export function pullPolicyOf(text: string): string {
  const policy = pullPolicies[text.toLowerCase()];
  if (policy) return policy;
  throw new Failure(`--pull ${text}`, { why: 'there is no such policy', mend: 'Always, IfNotPresent or Never' });
}

const restartPolicies: Record<string, string> = { no: 'Never', 'on-failure': 'OnFailure', always: 'Always' };

/** As docker writes it. */
export function restartPolicyOf(text: string): string {
  const policy = restartPolicies[text.toLowerCase()];
  if (policy) return policy;
  throw new Failure(`--restart ${text}`, {
    why: 'there is no such policy',
    mend: 'no, on-failure or always; ./sampan rm ends a Pod for good',
  });
}

/** `-l name=value`, or a name alone. */
export function labelsOf(texts: string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
