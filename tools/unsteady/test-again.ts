/** Stands in for node:test (disturb.ts): what a file declares at its top, a test or a `describe` with all in it, is declared so many times. */
import real from 'node:test';

export const { after, afterEach, before, beforeEach, mock } = real;

const times = Number(process.env.SAMPAN_TEST_TIMES ?? 1);
type Declare = (...args: unknown[]) => unknown;
let isInside = false;

function again(declare: Declare, hasTestsInside: boolean): Declare {
  const declareAgain = (...args: unknown[]) => {
    if (isInside) return declare(...args);
    let last: unknown;
    for (let round = 0; round < times; round++)
      last = declare(...args.map((arg) => (hasTestsInside ? within(arg) : arg)));
    return last;
  };
  return Object.assign(declareAgain, declare);
}

/** Its tests are its own: they come again with it. */
function within(body: unknown): unknown {
  if (typeof body !== 'function') return body;
  return (...args: unknown[]) => {
    isInside = true;
    try {
      return body(...args);
    } finally {
      isInside = false;
    }
  };
}

export const test = again(real.test as Declare, false) as typeof real.test;
export const it = again(real.it as Declare, false) as typeof real.it;
export const describe = again(real.describe as Declare, true) as typeof real.describe;
export const suite = again(real.suite as Declare, true) as typeof real.suite;
export default test;
