/** Errors of system calls: which they are, and what the system said. */

/** Errors of Linux that Node has no name for: it says "Unknown system error -122", of a synchronous call "UNKNOWN". */
const UNNAMED: Readonly<Record<number, readonly [code: string, meaning: string]>> = {
  [-116]: ['ESTALE', 'stale file handle'],
  [-117]: ['EUCLEAN', 'structure needs cleaning'],
  [-122]: ['EDQUOT', 'disk quota exceeded'],
};

/** An error of a system call; with codes: one of these. */
export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  const code = errnoCode(error);
  return code !== undefined && (codes.length === 0 || codes.includes(code));
}

/** `ENOENT` and so on; undefined for what is no error of a system call. */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as NodeJS.ErrnoException;
  if (typeof code !== 'string') return undefined;
  return UNNAMED[errno ?? 0]?.[0] ?? code;
}

/** What the system said, with the name of the error also where Node has none. */
export function errnoText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const [code, meaning] = UNNAMED[(error as NodeJS.ErrnoException).errno ?? 0] ?? [];
  if (code === undefined) return error.message;
  return error.message.replace(
    /^(Unknown system error -\d+: Unknown system error -\d+|UNKNOWN: unknown error)/,
    `${code}: ${meaning}`,
  );
}

/** Whether a disk or a quota of this machine is full. */
export function isDiskFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC', 'EDQUOT');
}
