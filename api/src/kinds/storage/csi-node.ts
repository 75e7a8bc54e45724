/** CSINode: which CSI drivers a node has. A kubelet writes its own, with none in it, and is not ready before. */
import type { CSINode } from 'kubernetes-types/storage/v1.js';
import { resources } from '../../client.ts';
import type { Cause } from '../../errors.ts';
import { duplicate, invalid, required, tooLong } from '../../field-errors.ts';
import { qualifiedNameProblems } from '../../names.ts';
import { ageCell, ageColumn, column, nameCell, nameColumn } from '../columns.ts';
import { defineKind } from '../define.ts';
import { utf8Length } from '../metadata.ts';

const maxNodeIdBytes = 192;

export const csiNodeKind = defineKind<CSINode>({
  ref: resources.csinodes,
  kind: 'CSINode',
  showsDeleted: true,
  columns: [nameColumn, column('Drivers', 'How many drivers the node has.'), ageColumn],
  row: (one, nowMs) => [nameCell(one), String(one.spec?.drivers?.length ?? 0), ageCell(one, nowMs)],
  // Protobuf has no empty list: kubelet's first one says nothing of drivers.
  defaults(one) {
    one.spec ??= { drivers: [] };
    one.spec.drivers ??= [];
  },
  validate: ({ spec }) => [...driverFaults(spec?.drivers ?? [])],
});

/** pkg/apis/storage/validation, validateCSINodeDrivers. */
function* driverFaults(drivers: CSINode['spec']['drivers']): Generator<Cause> {
  for (const [index, driver] of drivers.entries()) {
    const field = `spec.drivers[${index}]`;
    if (drivers.findIndex(({ name }) => name === driver.name) !== index) yield duplicate(`${field}.name`, driver.name);
    if (!driver.name) yield required(`${field}.name`, '');
    if (!driver.nodeID) yield required(`${field}.nodeID`, '');
    if (utf8Length(driver.nodeID ?? '') > maxNodeIdBytes) yield tooLong(`${field}.nodeID`, maxNodeIdBytes);
    if ((driver.allocatable?.count ?? 0) < 0)
      yield invalid(`${field}.allocatable.count`, driver.allocatable?.count, 'must be greater than or equal to 0');
    for (const key of driver.topologyKeys ?? [])
      for (const problem of qualifiedNameProblems(key)) yield invalid(`${field}.topologyKeys`, key, problem);
  }
}
