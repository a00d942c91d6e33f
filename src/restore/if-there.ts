/** What may not be there. */
import { isErrno } from '../errno.ts';

/** What `action` finds; undefined when the file or folder that it looks at is not there. */
export async function ifThere<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
