/** Node: a machine that runs Pods. Its kubelet (our node part) creates it and writes its status. */
import type { Node, NodeAddress, NodeStatus } from 'kubernetes-types/core/v1.js';
import { resources } from '../client.ts';
import type { Cause } from '../errors.ts';
import { duplicate, forbidden, invalid, notSupported, required } from '../field-errors.ts';
import { labelValueProblems, qualifiedNameProblems } from '../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from './columns.ts';
import { defineKind, splitSpecAndStatus } from './define.ts';

const rolePrefix = 'node-role.kubernetes.io/';
const roleLabel = 'kubernetes.io/role';
const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

export const nodeKind = defineKind<Node>({
  ref: resources.nodes,
  kind: 'Node',
  shortNames: ['no'],
  subresources: ['status'],
  selectableFields: { 'spec.unschedulable': (node) => String(node.spec?.unschedulable ?? false) },
  columns: [
    nameColumn,
    column('Status', 'Whether the node takes Pods.'),
    column('Roles', 'Roles of the node, from its labels.'),
    ageColumn,
    column('Version', 'Version of the software that runs Pods on the node.'),
    column('Internal-IP', 'Address of the node within its network.', { wide: true }),
    column('External-IP', 'Address of the node from outside.', { wide: true }),
    column('OS-Image', 'Operating system of the node.', { wide: true }),
    column('Kernel-Version', 'Kernel of the node.', { wide: true }),
    column('Container-Runtime', 'Container runtime of the node.', { wide: true }),
  ],
  row(node, nowMs) {
    const info = node.status?.nodeInfo;
    return [
      nameCell(node),
      statusOf(node),
      rolesOf(node),
      ageCell(node, nowMs),
      info?.kubeletVersion ?? '',
      addressOf(node, 'InternalIP'),
      addressOf(node, 'ExternalIP'),
      info?.osImage || '<unknown>',
      info?.kernelVersion || '<unknown>',
      info?.containerRuntimeVersion || '<unknown>',
    ];
  },
  defaults(node) {
    node.spec ??= {};
    const status: NodeStatus = node.status ?? {};
    if (!status.allocatable && status.capacity) status.allocatable = { ...status.capacity };
    Object.assign(node, { status });
  },
  prepareUpdate: splitSpecAndStatus,
  validate: validateSpec,
  validateUpdate(node, old) {
    const causes = validateSpec(node);
    const before = old.spec?.providerID;
    if (before && node.spec?.providerID !== before) {
      causes.push(forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
    }
    if (old.spec?.podCIDR && node.spec?.podCIDR !== old.spec.podCIDR) {
      causes.push(forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
    }
    return causes;
  },
});

function statusOf(node: Node): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === 'Ready');
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (node.spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesOf(node: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata?.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === roleLabel && value) roles.add(value);
  }
  return [...roles].sort().join(',') || '<none>';
}

function addressOf(node: Node, type: NodeAddress['type']): string {
  return node.status?.addresses?.find((address) => address.type === type)?.address ?? '<none>';
}

function validateSpec(node: Node): Cause[] {
  const causes: Cause[] = [];
  const seen = new Set<string>();
  for (const [i, taint] of (node.spec?.taints ?? []).entries()) {
    const field = `spec.taints[${i}]`;
    causes.push(...qualifiedNameProblems(taint.key).map((problem) => invalid(`${field}.key`, taint.key, problem)));
    const value = taint.value ?? '';
    causes.push(...labelValueProblems(value).map((problem) => invalid(`${field}.value`, value, problem)));
    if (!taint.effect) causes.push(required(`${field}.effect`));
    else if (!effects.includes(taint.effect)) causes.push(notSupported(`${field}.effect`, taint.effect, effects));
    const identity = `${taint.key}:${taint.effect}`;
    if (seen.has(identity))
      causes.push({
        ...duplicate(field, taint),
        message: 'Duplicate value: taints must be unique by key and effect pair',
      });
    seen.add(identity);
  }
  return causes;
}
