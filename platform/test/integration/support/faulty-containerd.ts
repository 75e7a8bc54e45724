/** A containerd over a runtime process of ours that can be ended or held at any of its steps (base/failpoints.ts). */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerdLab, type ContainerdPrograms, debians } from './containerd-lab.ts';
import { holdings, lastingLeaks, type Swept } from './leak-sweep.ts';
import { until } from './wait.ts';

export const onHost = 'io.containerd.sampan-namespace.v2';
export const inMachine = 'io.containerd.sampan.v2';
/** Goes on until it is asked to end, and then ends with 7. */
export const untilTold: string[] = ['sh', '-c', 'trap "exit 7" TERM; while true; do sleep 0.05; done'];

/** The relay starts the service anew, with other descriptors than the lab's. */
const started = /runtime-service\.ts|sampan-launch binds|agent lines/;

export class FaultyContainerd implements AsyncDisposable {
  readonly lab: ContainerdLab;
  readonly #points: string;
  #atFirst: string[] = [];

  private constructor(lab: ContainerdLab, points: string) {
    this.lab = lab;
    this.#points = points;
  }

  static async open(programs: ContainerdPrograms = debians): Promise<FaultyContainerd> {
    const points = join(await mkdtemp(join(tmpdir(), 'failpoints-')), 'points');
    await writeFile(points, '');
    process.env.SAMPAN_FAILPOINTS = points;
    process.env.SAMPAN_POOL = '0';
    return new FaultyContainerd(await ContainerdLab.start(programs), points);
  }

  get swept(): Swept {
    const { run, home, tag } = this.lab.instance;
    return { run, home, tag };
  }

  /** What is there now is no leak: said once everything that stays has been made. */
  remember(): void {
    this.#atFirst = holdings(this.swept);
  }

  /** Of steps that come from now on: `STEP kill`, `STEP hold`, or nothing. Whoever is held goes on. */
  at(point: string): Promise<void> {
    return writeFile(this.#points, point);
  }

  async held(step: string): Promise<void> {
    await until(`${step} is reached`, async () => (await readFile(this.#points, 'utf8')) === `${step} held`);
  }

  /** Throws at what was not there at first. */
  async sweep(): Promise<void> {
    const left = await lastingLeaks(this.swept, this.#atFirst, { withinMs: 10_000, but: started });
    assert.deepEqual(left, []);
  }

  /** What a test that failed has left is no matter of the next. */
  async clear(): Promise<void> {
    await this.at('');
    await this.lab.clear();
  }

  start(id: string, runtime = onHost, script = untilTold): ReturnType<ContainerdLab['run']> {
    return this.lab.run(id, script, ['-d'], runtime);
  }

  exec(id: string, name = 'e', script = ['true']): ReturnType<ContainerdLab['ctr']> {
    return this.lab.ctr(['task', 'exec', '--exec-id', name, id, ...script]);
  }

  stop(id: string): ReturnType<ContainerdLab['ctr']> {
    return this.lab.ctr(['task', 'kill', '-s', 'SIGTERM', id]);
  }

  remove(id: string): ReturnType<ContainerdLab['ctr']> {
    return this.lab.ctr(['task', 'rm', id]);
  }

  async stopped(id: string): Promise<void> {
    await until('it has stopped', async () => (await this.lab.state(id)) === 'STOPPED');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    delete process.env.SAMPAN_FAILPOINTS;
    delete process.env.SAMPAN_POOL;
    await this.lab.stop();
    await rm(join(this.#points, '..'), { recursive: true, force: true });
  }
}
