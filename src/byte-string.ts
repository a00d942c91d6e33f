/**
 * Names as a file system has them need not be UTF-8. A byte string holds one: each character is one byte ('latin1'), so
 * that it is compared, cut and joined like any text and loses nothing.
 */

export function byteString(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** As Node's calls take a path. */
export function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

/** For messages: what is no UTF-8 is replaced. */
export function textOf(name: string): string {
  return bytesOf(name).toString('utf8');
}
