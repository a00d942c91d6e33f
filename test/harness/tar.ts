/** Tars made byte by byte, so that tests can hold what no honest program writes. */

export interface TarEntry {
  readonly name: string | Buffer;
  /** The header's type flag: '0' file, '1' hard link, '2' symlink, '5' directory, 'x' PAX, 'L' GNU long name. */
  readonly type?: string;
  readonly content?: Uint8Array;
  /** Instead of the content's true length; a string is written as it is. */
  readonly size?: number | string | Buffer;
  readonly mode?: number | string;
  readonly mtime?: number | Buffer;
  readonly uid?: number;
  readonly gid?: number;
  readonly userName?: string;
  readonly groupName?: string;
  readonly linkName?: string;
  readonly magic?: string;
  /** Bytes of the header to be spoilt after its checksum was made. */
  readonly spoil?: number;
}

const BLOCK = 512;

/** Entries and the end mark, padded to 10240 bytes as Python's tarfile does. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const body = Buffer.concat(entries.map(tarEntry));
  const padded = Math.ceil((body.length + 2 * BLOCK) / 10240) * 10240;
  return Buffer.concat([body, Buffer.alloc(padded - body.length)]);
}

export function tarEntry(entry: TarEntry): Buffer {
  const content = entry.content ?? new Uint8Array(0);
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
  return Buffer.concat([header(entry, content.length), content, padding]);
}

/** An `x` header that applies to the member after it. */
export function paxEntry(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => paxLine(key, value));
  return tarEntry({ name: '././@PaxHeader', type, content: Buffer.concat(lines) });
}

export function folder(name: string, mode = 0o700): TarEntry {
  return { name, type: '5', mode };
}

export function file(name: string, content: Uint8Array | string, mode = 0o600): TarEntry {
  return { name, content: typeof content === 'string' ? Buffer.from(content) : content, mode };
}

function paxLine(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function header(entry: TarEntry, length: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  put(block, 0, 100, entry.name);
  put(block, 100, 8, octal(entry.mode ?? 0o600, 8));
  put(block, 108, 8, octal(entry.uid ?? 0, 8));
  put(block, 116, 8, octal(entry.gid ?? 0, 8));
  put(block, 124, 12, octal(entry.size ?? length, 12));
  put(block, 136, 12, octal(entry.mtime ?? 1_700_000_000, 12));
  put(block, 156, 1, entry.type ?? '0');
  put(block, 157, 100, entry.linkName ?? '');
  put(block, 257, 8, entry.magic ?? 'ustar\x0000');
  put(block, 265, 32, entry.userName ?? '');
  put(block, 297, 32, entry.groupName ?? '');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(block, 148, 8, `${sum.toString(8).padStart(6, '0')}\0 `);
  if (entry.spoil !== undefined) block[entry.spoil] = (block[entry.spoil] ?? 0) ^ 0x55;
  return block;
}

function octal(value: number | string | Buffer, width: number): string | Buffer {
  return typeof value === 'number' ? `${value.toString(8).padStart(width - 1, '0')}\0` : value;
}

function put(block: Buffer, at: number, width: number, value: string | Buffer): void {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  bytes.copy(block, at, 0, Math.min(width, bytes.length));
}
