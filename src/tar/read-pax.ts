/** PAX records: `LENGTH KEY=VALUE\n`, the length in decimal and of the whole record (POSIX.1-2017 pax). */
import { damaged } from './damage.ts';

const MAX_DIGITS = 8;

/** Key -> value, both byte strings; of a key that is repeated, the last counts. */
export function readPax(payload: Uint8Array): ReadonlyMap<string, string> {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const digits = blank === -1 || blank - at > MAX_DIGITS ? '' : bytes.toString('latin1', at, blank);
    const end = /^[1-9]\d*$/.test(digits) ? at + Number(digits) : -1;
    const equals = bytes.indexOf(0x3d, blank);
    if (
      end > bytes.length ||
      equals === -1 ||
      equals <= blank + 1 ||
      equals >= end ||
      bytes[end - 1] !== 0x0a
    )
      throw damaged('a PAX record has not the form that it must have');
    records.set(bytes.toString('latin1', blank + 1, equals), bytes.toString('latin1', equals + 1, end - 1));
    at = end;
  }
  return records;
}
