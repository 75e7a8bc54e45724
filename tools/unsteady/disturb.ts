/** What a busy machine does to a process, with more bad luck than is usual: loaded before a test file (run.ts). The same seed draws the same lots. */
import { promises } from 'node:fs';
import { registerHooks, syncBuiltinESMExports } from 'node:module';

const testAgain = new URL('./test-again.ts', import.meta.url).href;
/** Of calls of files: how many are held up before, and how many after. */
const heldUp = 0.3;
/** How long the process stands still, at most, and how long it runs between, in milliseconds. */
const [mostStill, mostBetween] = [120, 240];

let state = Number(process.env.SAMPAN_TEST_SEED ?? 1) >>> 0;
/** A linear congruential generator: bad luck needs no better one. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

/** By the same threads as all files, so that who waits until none is at work waits for this, too. */
const { stat } = promises;
async function holdUp(): Promise<void> {
  if (random() >= heldUp) return;
  for (let left = random() < 0.3 ? random() * 60 : 1; left > 0; left--) await stat('/');
}

function slowFiles(): void {
  const calls = promises as unknown as Record<string, unknown>;
  for (const name of Object.keys(calls)) {
    const call = calls[name];
    if (typeof call !== 'function' || name === 'watch' || name === 'opendir') continue;
    calls[name] = async (...args: unknown[]) => {
      await holdUp();
      try {
        return await call.apply(promises, args);
      } finally {
        await holdUp();
      }
    };
  }
  syncBuiltinESMExports();
}

/** As one that gets no turn on its CPU: what is due meanwhile comes all at once. */
function standStill(): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const wait = globalThis.setTimeout;
  const next = () => {
    const pause = () => {
      Atomics.wait(cell, 0, 0, random() ** 2 * mostStill);
      next();
    };
    wait(pause, random() * mostBetween).unref();
  };
  next();
}

registerHooks({
  resolve: (name, context, next) =>
    name === 'node:test' && context.parentURL !== testAgain
      ? { url: testAgain, shortCircuit: true }
      : next(name, context),
});
slowFiles();
standStill();
