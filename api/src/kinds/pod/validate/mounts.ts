/** volumeMounts of a container. */
import type { Pod, VolumeMount } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { forbidden, invalid, notFound, notSupported, required } from '../../../field-errors.ts';
import type { AnyContainer } from '../pod-types.ts';
import { checkDescendingPath } from './paths.ts';

const propagations = ['Bidirectional', 'HostToContainer', 'None'];
const recursiveModes = ['Disabled', 'Enabled', 'IfPossible'];

export function validateMounts(container: AnyContainer, pod: Pod, field: string): Cause[] {
  const volumes = new Set((pod.spec?.volumes ?? []).map((volume) => volume.name));
  const taken = new Set<string>();
  return (container.volumeMounts ?? []).flatMap((mount, i) => {
    const at = `${field}[${i}]`;
    const causes: Cause[] = [];
    if (!mount.name) causes.push(required(`${at}.name`));
    if (!volumes.has(mount.name)) causes.push(notFound(`${at}.name`, mount.name ?? ''));
    if (!mount.mountPath) causes.push(required(`${at}.mountPath`));
    if (taken.has(mount.mountPath)) causes.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    taken.add(mount.mountPath);
    return [...causes, ...validateSubPath(mount, at), ...validateModes(mount, container, at)];
  });
}

function validateSubPath({ subPath, subPathExpr }: VolumeMount, field: string): Cause[] {
  const causes: Cause[] = [];
  if (subPath) causes.push(...checkDescendingPath(subPath, `${field}.subPath`));
  if (subPathExpr) {
    if (subPath) {
      const detail = 'subPathExpr and subPath are mutually exclusive';
      causes.push(invalid(`${field}.subPathExpr`, subPathExpr, detail));
    }
    causes.push(...checkDescendingPath(subPathExpr, `${field}.subPathExpr`));
  }
  return causes;
}

function validateModes(mount: VolumeMount, container: AnyContainer, field: string): Cause[] {
  const causes: Cause[] = [];
  const { mountPropagation: propagation } = mount;
  if (propagation !== undefined && !propagations.includes(propagation)) {
    causes.push(notSupported(`${field}.mountPropagation`, propagation, propagations));
  }
  if (propagation === 'Bidirectional' && !container.securityContext?.privileged) {
    const detail = 'Bidirectional mount propagation is available only to privileged containers';
    causes.push(forbidden(`${field}.mountPropagation`, detail));
  }
  const { recursiveReadOnly } = mount as { recursiveReadOnly?: string };
  if (recursiveReadOnly === undefined || recursiveReadOnly === 'Disabled') return causes;
  const at = `${field}.recursiveReadOnly`;
  if (!recursiveModes.includes(recursiveReadOnly))
    return [...causes, notSupported(at, recursiveReadOnly, recursiveModes)];
  if (!mount.readOnly) causes.push(forbidden(at, 'may only be specified when readOnly is true'));
  if (propagation && propagation !== 'None') {
    causes.push(forbidden(at, 'may only be specified when mountPropagation is None or not specified'));
  }
  return causes;
}
