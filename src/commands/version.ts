/** `wal-e version`: as the original, the number and nothing else; needs no configuration and logs nothing. */
import { VERSION } from '../program.ts';
import type { Context } from './context.ts';

export async function run(_args: object, context: Context): Promise<number> {
  await context.print(`${VERSION}\n`);
  return 0;
}
