/** An image that is known but not here yet, wherever it comes from: what installing one needs. */
import { SampanError } from '@sampan/api/errors.ts';
import { type ConfigFile, type Descriptor, parseConfig } from './manifest.ts';
import { digestOf } from './registry/registry-client.ts';

export interface SourceLayer extends Descriptor {
  diffId: string;
}

export interface FetchTarget {
  path: string;
  /** Bytes that have come; negative when some have to come again. */
  onBytes: (bytes: number) => void;
  signal: AbortSignal;
}

export interface ImageSource {
  /** For messages. */
  name: string;
  id: string;
  config: ConfigFile;
  configText: string;
  manifest?: { text: string; mediaType: string };
  /** Lowest first. */
  layers: SourceLayer[];
  /** Brings a layer, verified, to a new file at `path`. */
  fetch(layer: SourceLayer, to: FetchTarget): Promise<void>;
}

/** Config and layers that fit together. Throws Invalid when they do not, Unsupported when the image is for another machine. */
export function checkedSource(source: {
  name: string;
  configBody: Buffer;
  layers: Descriptor[];
  architecture: string;
}): Pick<ImageSource, 'name' | 'id' | 'config' | 'configText' | 'layers'> {
  const { name, configBody, architecture } = source;
  const config = parseConfig(configBody, `the config of ${name}`);
  if (config.os !== 'linux' || (config.architecture && config.architecture !== architecture)) {
    throw new SampanError(
      'Unsupported',
      `${name} is for ${config.os}/${config.architecture}, this node runs linux/${architecture}`,
    );
  }
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== source.layers.length) {
    throw new SampanError(
      'Invalid',
      `${name} has ${source.layers.length} layers, its config speaks of ${diffIds.length}`,
    );
  }
  const layers = source.layers.map((layer, i) => ({ ...layer, diffId: diffIds[i]! }));
  return { name, id: digestOf(configBody), config, configText: configBody.toString('utf8'), layers };
}
