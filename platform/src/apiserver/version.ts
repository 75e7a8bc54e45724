/** /version: the Kubernetes this server behaves as, and the Sampan it is. */
export interface VersionInfo {
  /** Sampan's own, such as 0.1.0. */
  version: string;
  gitCommit?: string;
  /** RFC 3339. */
  buildDate?: string;
}

const major = '1';
const minor = '33';

export function versionDocument({ version, gitCommit = '', buildDate = '1970-01-01T00:00:00Z' }: VersionInfo): object {
  return {
    major,
    minor,
    gitVersion: `v${major}.${minor}.0+sampan.${version}`,
    gitCommit,
    gitTreeState: 'clean',
    buildDate,
    goVersion: `node${process.versions.node}`,
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
