import { setTimeout as delay } from 'node:timers/promises';

/** Asks until the answer is neither undefined nor false; `what` names it when it never came. */
export async function poll<Answer>(
  what: string,
  ask: () => Answer | Promise<Answer>,
  limitMs = 180_000,
): Promise<Exclude<Answer, undefined | false>> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<Answer, undefined | false>;
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await delay(20);
  }
}
