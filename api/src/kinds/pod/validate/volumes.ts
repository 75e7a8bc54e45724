/** The Pod's volumes. Kinds of source that we do not have are refused by name in unsupported.ts; here they only count. */
import type { HostPathVolumeSource, KeyToPath, Pod, Volume } from 'kubernetes-types/core/v1.js';
import type { Cause } from '../../../errors.ts';
import { duplicate, forbidden, invalid, invalidFor, notSupported, required } from '../../../field-errors.ts';
import { dnsLabelProblems } from '../../../names.ts';
import { tryParseQuantity } from '../../../quantity.ts';
import { validateDownwardFile, validateKeyToPath } from './files.ts';
import { checkFileMode, hasBackstep } from './paths.ts';
import { validateProjected } from './projected.ts';

export function validateVolumes(pod: Pod): Cause[] {
  const names = new Set<string>();
  return (pod.spec?.volumes ?? []).flatMap((volume, i) => {
    const at = `spec.volumes[${i}]`;
    const causes = validateSource(volume, at);
    if (!volume.name) causes.push(required(`${at}.name`));
    else {
      const problems = dnsLabelProblems(volume.name);
      if (problems.length > 0) causes.push(...invalidFor(`${at}.name`, volume.name, problems));
      else if (names.has(volume.name)) causes.push(duplicate(`${at}.name`, volume.name));
    }
    names.add(volume.name);
    return causes;
  });
}

function validateSource(volume: Volume, field: string): Cause[] {
  const kinds = Object.keys(volume).filter((key) => key !== 'name');
  if (kinds.length === 0) return [required(field, 'must specify a volume type')];
  const causes = kinds.slice(1).map((kind) => forbidden(`${field}.${kind}`, 'may not specify more than 1 volume type'));
  const { emptyDir, secret, configMap, downwardAPI, projected, hostPath } = volume;
  if (emptyDir) causes.push(...validateEmptyDir(emptyDir, `${field}.emptyDir`));
  if (secret) {
    if (!secret.secretName) causes.push(required(`${field}.secret.secretName`));
    causes.push(...validateFiles(secret, `${field}.secret`));
  }
  if (configMap) {
    if (!configMap.name) causes.push(required(`${field}.configMap.name`));
    causes.push(...validateFiles(configMap, `${field}.configMap`));
  }
  if (downwardAPI) {
    causes.push(...checkFileMode(downwardAPI.defaultMode, `${field}.downwardAPI.defaultMode`));
    for (const file of downwardAPI.items ?? []) causes.push(...validateDownwardFile(file, `${field}.downwardAPI`));
  }
  if (hostPath) causes.push(...validateHostPath(hostPath, `${field}.hostPath`));
  if (projected) causes.push(...validateProjected(projected, `${field}.projected`));
  return causes;
}

const hostPathTypes = [
  '',
  ...['BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'],
];

function validateHostPath({ path, type = '' }: HostPathVolumeSource, field: string): Cause[] {
  const causes: Cause[] = [];
  if (!path) causes.push(required(`${field}.path`));
  else if (hasBackstep(path)) causes.push(invalid(`${field}.path`, path, "must not contain '..'"));
  // Kubernetes lets it pass and no container comes of it.
  else if (!path.startsWith('/')) causes.push(invalid(`${field}.path`, path, 'must be an absolute path'));
  if (!hostPathTypes.includes(type)) causes.push(notSupported(`${field}.type`, type, hostPathTypes));
  return causes;
}

const media = ['', 'Memory'];

function validateEmptyDir({ medium = '', sizeLimit }: NonNullable<Volume['emptyDir']>, field: string): Cause[] {
  const causes: Cause[] = [];
  if (sizeLimit !== undefined && (tryParseQuantity(sizeLimit)?.nanos ?? 0n) < 0n) {
    causes.push(forbidden(`${field}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  }
  if (!media.includes(medium)) causes.push(notSupported(`${field}.medium`, medium, media));
  return causes;
}

function validateFiles(source: { defaultMode?: number; items?: KeyToPath[] }, field: string): Cause[] {
  return [
    ...checkFileMode(source.defaultMode, `${field}.defaultMode`),
    ...(source.items ?? []).flatMap((item, i) => validateKeyToPath(item, `${field}.items[${i}]`)),
  ];
}
