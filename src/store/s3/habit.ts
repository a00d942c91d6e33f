/**
 * What the store does with `If-None-Match: *`: as the settings say, as an earlier process noted, or as it shows. The
 * proof is a conditional put of an object that is there, by the very bytes that are there: 412 is said only by a store
 * that honours the header, and one that ignores it has nothing to lose.
 */
import type { S3Settings } from '../../settings/s3.ts';
import type { Retry } from '../retrying.ts';
import type { S3Client, S3Request } from './client.ts';
import { S3Error } from './failure.ts';
import type { Habit, HabitNotes } from './habit-notes.ts';

export const CONDITION = { 'if-none-match': '*' };

export interface KnowledgeParts {
  readonly client: S3Client;
  readonly settings: S3Settings;
  readonly retry: Retry;
  readonly notes: HabitNotes;
}

export interface Knowledge {
  habit(): Habit | undefined;
  /** `sure`: to be remembered by other processes too. */
  learn(habit: Habit, sure?: boolean): void;
  /**
   * Repeats a conditional put that has just stored its object: the same bytes under the same key, whatever the store
   * does with them. Done once by each process at most, and never fails: the object is stored.
   */
  findOut(request: S3Request, signal: AbortSignal): Promise<void>;
}

export function createKnowledge({ client, settings, retry, notes }: KnowledgeParts): Knowledge {
  const given = ({ yes: 'honours', no: 'refuses', unknown: undefined } as const)[settings.conditionalPut];
  let current: Habit | undefined = given;
  let isRead = given !== undefined;
  let isSought = false;
  const learn: Knowledge['learn'] = (habit, sure = true) => {
    if (habit === current) return;
    current = habit;
    if (given === undefined && sure) notes.write(habit);
  };
  return {
    habit() {
      if (!isRead) current = notes.read();
      isRead = true;
      return current;
    },
    learn,
    async findOut(request, signal) {
      if (isSought) return;
      isSought = true;
      // Retried it could hold up a put that is done; all that an answer decides is how the next one begins.
      const seen = retry.run((limited) => answerToRepeated(client, request, limited), signal);
      const habit = await seen.catch(() => undefined);
      if (habit !== undefined) learn(habit);
    },
  };
}

/** undefined: no answer, or one that says nothing of the header. Whatever does not prove `honours` needs the HEAD. */
async function answerToRepeated(
  client: S3Client,
  request: S3Request,
  signal: AbortSignal,
): Promise<Habit | undefined> {
  try {
    const { body } = await client.once(request, signal);
    for await (const _ of body);
    return 'ignores';
  } catch (error) {
    if (!(error instanceof S3Error) || error.transient || error.full || error.status === 0) return undefined;
    return error.status === 412 ? 'honours' : 'ignores';
  }
}

/** 501, or a 400 that is not about something else. */
export function refusesCondition({ status, code }: S3Error): boolean {
  if (status === 501) return true;
  return (
    status === 400 &&
    (code === undefined || /^(InvalidArgument|InvalidRequest|BadRequest|NotImplemented)$/.test(code))
  );
}
