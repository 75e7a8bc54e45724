/** A control group of a test's own in every hierarchy of the host, for what expects its Pods' groups beneath one: as kubelet makes them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomHex } from '../../../src/base/ids.ts';
import { hierarchiesOf } from '../../../src/vmm/namespace/machine-cgroups.ts';
import { until } from './wait.ts';

export class CgroupTree implements AsyncDisposable {
  readonly version: 1 | 2;
  /** As the group is named to a runtime or a kubelet. */
  readonly path: string;
  readonly #roots: string[];
  /** kubelet makes groups also in a version 2 that stands beside version 1. */
  readonly #beside: string[];

  private constructor(path: string, { version, roots, unified }: ReturnType<typeof hierarchiesOf>) {
    this.path = path;
    this.version = version;
    this.#roots = roots;
    this.#beside = unified && !roots.includes(unified) ? [unified] : [];
  }

  static async make(): Promise<CgroupTree> {
    const tree = new CgroupTree(`/lab-${randomHex(6)}`, hierarchiesOf(await readFile('/proc/self/mounts', 'utf8')));
    await tree.add('');
    return tree;
  }

  /** A group below, one level deeper than what there is. Says its path in the hierarchies. */
  async add(below: string): Promise<string> {
    const path = join(this.path, below);
    for (const root of this.#roots) {
      const place = join(root, path);
      await mkdir(place);
      // Born without CPUs in version 1, and nobody may join it then.
      for (const file of ['cpuset.cpus', 'cpuset.mems'])
        if (this.version === 1 && existsSync(join(place, file)))
          await writeFile(join(place, file), readFileSync(join(place, '..', file), 'utf8').trim());
      if (this.version === 2 && below === '')
        await writeFile(join(place, 'cgroup.subtree_control'), '+cpu +memory +pids');
    }
    return path;
  }

  /** Where the group at `path` is in the hierarchy that counts memory. */
  memory(path = this.path): string {
    const file = this.version === 2 ? 'memory.current' : 'memory.usage_in_bytes';
    return this.#roots.map((root) => join(root, path)).find((place) => existsSync(join(place, file)))!;
  }

  memoryBytes = async (path = this.path): Promise<number> =>
    Number(
      await readFile(join(this.memory(path), this.version === 2 ? 'memory.current' : 'memory.usage_in_bytes'), 'utf8'),
    );

  /** What a file of the group at `path` says, in the hierarchy that has it. */
  said = async (path: string, file: string): Promise<string | undefined> => {
    const place = this.#roots.map((root) => join(root, path, file)).find((one) => existsSync(one));
    return place && (await readFile(place, 'utf8')).trim();
  };

  /** All groups below one, relative to it, in any hierarchy. */
  groups(path = this.path): string[] {
    const below = (place: string): string[] =>
      existsSync(place)
        ? readdirSync(place, { withFileTypes: true })
            .filter((entry) => entry.isDirectory())
            .flatMap(({ name }) => [name, ...below(join(place, name)).map((one) => join(name, one))])
        : [];
    return [...new Set([...this.#roots, ...this.#beside].flatMap((root) => below(join(root, path))))].sort();
  }

  /** Processes in a group or below it. */
  async members(path = this.path): Promise<number[]> {
    const places = [path, ...this.groups(path).map((one) => join(path, one))].map((one) => this.memory(one));
    const lists = places.map((place) => (place ? readFile(join(place, 'cgroup.procs'), 'utf8').catch(() => '') : ''));
    return (await Promise.all(lists)).flatMap((text) => text.split('\n').filter(Boolean).map(Number));
  }

  /** Nothing may live in it any more; what is ending is waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const root of [...this.#roots, ...this.#beside]) {
      const places = [this.path, ...this.groups().map((one) => join(this.path, one))];
      for (const place of places.reverse()) await until(`${place} can go`, () => isGone(join(root, place)));
    }
  }
}

async function isGone(place: string): Promise<boolean> {
  if (existsSync(place)) await rmdir(place);
  return true;
}
