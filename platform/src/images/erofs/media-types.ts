/** The media types of OCI (image-spec media-types.md) and Docker (image manifest v2 schema 2) that name what we can read. */

export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociConfig = 'application/vnd.oci.image.config.v1+json';
export const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
export const dockerConfig = 'application/vnd.docker.container.image.v1+json';

export const indexTypes: readonly string[] = [ociIndex, dockerList];
export const manifestTypes: readonly string[] = [ociManifest, dockerManifest];
export const configTypes: readonly string[] = [ociConfig, dockerConfig];

export const dockerLayer = 'application/vnd.docker.image.rootfs.diff.tar';
export const dockerLayerGzip = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
export const ociLayerZstd = 'application/vnd.oci.image.layer.v1.tar+zstd';

const layerTypes = new Set([
  ...['', '+gzip', '+zstd'].flatMap((suffix) => [
    `application/vnd.oci.image.layer.v1.tar${suffix}`,
    `application/vnd.oci.image.layer.nondistributable.v1.tar${suffix}`,
  ]),
  dockerLayer,
  dockerLayerGzip,
  'application/vnd.docker.image.rootfs.diff.tar.zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
]);

export const isLayerType = (mediaType: string): boolean => layerTypes.has(mediaType);
