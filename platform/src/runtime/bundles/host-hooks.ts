/**
 * Hooks of containers on the host, and what is owed of them. Owns a record for each container that has any, which is written before the first of them runs and
 * goes when the last has: a container whose create came as far as its hooks gets its poststop ones, whenever and however it goes.
 *
 *   creating ──prestart, createRuntime──▶ created ──poststart──▶ started
 *       └─────────────────┬──────────────────┴──────────────────────┘
 *                  the container is gone ──poststop──▶ (no record)
 *
 * prestart and createRuntime run once, and what fails there fails the create; poststart runs at most once and poststop at least once over crashes, and what fails
 * there is logged (runtime-spec 1.0.2, runtime.md "Lifecycle"). Does not own: containers, or the pids that hooks are told.
 */
import { messageOf, SampanError } from '@sampan/api/errors.ts';
import { z } from 'zod';
import type { Logger } from '../../base/log.ts';
import { startTimeOf } from '../../base/process-start.ts';
import { loadRecords, removeRecord, saveRecord } from './bundle-records.ts';
import { type HookedContainer, type HookMoment, type HostHookKind, type HostHookPlan, hookState } from './hook-plan.ts';
import { runHook } from './run-hook.ts';

export interface HookRecord {
  /** The container's. */
  id: string;
  sandboxId: string;
  container: HookedContainer;
  plan: HostHookPlan;
  stage: 'creating' | 'created' | 'started';
  /** The hook that is running, the leader of its group. */
  running?: { pid: number; startTime: string };
}

const envelope = z.looseObject({
  id: z.string(),
  sandboxId: z.string(),
  container: z.looseObject({ name: z.string(), bundle: z.string() }),
  plan: z.looseObject({ poststop: z.array(z.looseObject({ path: z.string() })) }),
  stage: z.enum(['creating', 'created', 'started']),
});

export interface HostHooksOptions {
  directory: string;
  log: Logger;
  onStep: (step: string) => Promise<void>;
}

export class HostHooks {
  readonly #options: HostHooksOptions;
  readonly #records = new Map<string, HookRecord>();
  /** poststart hooks under way, and what follows their container's end, by its id. */
  readonly #starting = new Map<string, Promise<void>>();
  readonly #settling = new Map<string, Promise<void>>();

  constructor(options: HostHooksOptions) {
    this.#options = options;
  }

  /** After a crash: a hook that still runs is one that nobody waits for, and is killed. */
  async load(): Promise<void> {
    for (const record of await loadRecords<HookRecord>(this.#options.directory, envelope)) {
      const { running } = record;
      if (running && startTimeOf(running.pid) === running.startTime) killGroup(running.pid);
      this.#records.set(record.id, record);
    }
  }

  has = (id: string): boolean => this.#records.has(id);

  /** What has run for it already (before its machine was there) is not run again. Throws InternalError naming the hook that failed. */
  async create(made: Omit<HookRecord, 'stage'>, pid: () => Promise<number>): Promise<void> {
    await this.#settling.get(made.id);
    if (this.#records.get(made.id)?.stage === 'created') return;
    const record: HookRecord = { ...made, stage: 'creating' };
    this.#records.set(record.id, record);
    await this.#save(record);
    await this.#options.onStep('hooks-create');
    const kinds = (['prestart', 'createRuntime'] as const).filter((kind) => record.plan[kind].length > 0);
    const moment = { status: 'creating', pid: kinds.length > 0 ? await pid() : 0 } as const;
    for (const kind of kinds) await this.#runAll(record, kind, moment);
    await this.#options.onStep('hooks-created');
    record.stage = 'created';
    await this.#save(record);
  }

  /** Idempotent; never throws. */
  async started(id: string, pid: () => Promise<number>): Promise<void> {
    const record = this.#records.get(id);
    if (record?.stage !== 'created') return;
    const starting = this.#forgiving(record, async () => {
      record.stage = 'started';
      await this.#save(record);
      await this.#runAll(record, 'poststart', { status: 'running', pid: await pid() }, true);
    });
    this.#starting.set(id, starting);
    await starting;
    this.#starting.delete(id);
  }

  /** The containers that it is so for are gone. Idempotent; never throws. */
  async settle(isGone: (record: HookRecord) => boolean): Promise<void> {
    // All at once: a container that is made anew meanwhile waits for what its name owes, and is none of these.
    await Promise.all([...this.#records.values()].filter(isGone).map((record) => this.#settleOnce(record)));
  }

  async #settleOnce(record: HookRecord): Promise<void> {
    const settling = this.#settling.get(record.id) ?? this.#settle(record);
    this.#settling.set(record.id, settling);
    await settling;
    if (this.#settling.get(record.id) === settling) this.#settling.delete(record.id);
  }

  async #settle(record: HookRecord): Promise<void> {
    await this.#starting.get(record.id);
    await this.#forgiving(record, async () => {
      await this.#options.onStep('hooks-poststop');
      await this.#runAll(record, 'poststop', { status: 'stopped' }, true);
      await this.#options.onStep('hooks-forget');
    });
    this.#records.delete(record.id);
    await removeRecord(this.#options.directory, record.id);
  }

  async #runAll(record: HookRecord, kind: HostHookKind, moment: HookMoment, goesOn = false): Promise<void> {
    const { container, plan } = record;
    for (const [index, hook] of plan[kind].entries())
      try {
        await runHook(hook, {
          state: hookState(container, moment),
          directory: container.bundle,
          onSpawn: (pid) => this.#spawned(record, pid),
        });
      } catch (error) {
        const words = `hooks.${kind}.${index}: ${messageOf(error)}`;
        if (!goesOn) throw new SampanError('InternalError', words);
        this.#options.log.warn({ container: record.id }, `a hook failed: ${words}`);
      } finally {
        delete record.running;
      }
  }

  /** Kept before anything else happens, so that no crash leaves a hook behind that nobody knows of. */
  #spawned(record: HookRecord, pid: number): void {
    const startTime = startTimeOf(pid);
    if (startTime === undefined) return;
    record.running = { pid, startTime };
    void this.#save(record).catch((error) =>
      this.#options.log.error({ container: record.id, error: messageOf(error) }, 'a hook that runs is not recorded'),
    );
  }

  #save = (record: HookRecord): Promise<void> => saveRecord(this.#options.directory, record);

  async #forgiving(record: HookRecord, work: () => Promise<void>): Promise<void> {
    await work().catch((error) =>
      this.#options.log.error({ container: record.id, error: messageOf(error) }, 'hooks could not be run'),
    );
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of them have ended.
  }
}
