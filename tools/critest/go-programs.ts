/** critest and crictl, built once from their Go module (pinned in go.mod beside this file). */
import { buildGoProgram, cachedProgram } from '../go-program.ts';

/** As go.mod pins it. */
export const criToolsVersion = 'v1.34.0';

const building = { critest: ['test', '-c'], crictl: ['build'] };

/** Where the program is, once built. */
export const binaryOf = (name: keyof typeof building): string => cachedProgram(`${name}-${criToolsVersion}`);

/** Path of the program; builds it when it is not there. */
export const criTool = (name: keyof typeof building): Promise<string> =>
  buildGoProgram({
    file: `${name}-${criToolsVersion}`,
    folder: import.meta.dirname,
    package: `sigs.k8s.io/cri-tools/cmd/${name}`,
    args: [...building[name], '-trimpath', '-ldflags', '-s -w'],
    env: { CGO_ENABLED: '0' },
  });
