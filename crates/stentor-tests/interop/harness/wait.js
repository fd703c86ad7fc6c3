// Waiting, always with a deadline: a test that waits for ever tells nobody what it waited for.

const DEADLINE_MS = 10_000;
const POLL_MS = 20;

/** The value of `promise`, or an error that says `what` did not happen in time. */
export async function within(promise, what, deadlineMs = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `condition` until it holds; only for facts that nothing announces, such as a count in Redis. */
export async function until(condition, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Values that arrive in order and are taken in order. */
export class Inbox {
  #values = [];
  #takers = [];

  put(value) {
    const taker = this.#takers.shift();
    if (taker) taker(value);
    else this.#values.push(value);
  }

  /** The next value; `what` names it if it does not come. */
  take(what) {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return within(new Promise((resolve) => this.#takers.push(resolve)), what);
  }

  get size() {
    return this.#values.length;
  }
}
