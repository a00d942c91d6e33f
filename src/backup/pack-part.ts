/**
 * Packs members into one part, on the calling thread. A cluster in motion: a file that vanished is left out; one that
 * grew is cut at the size in its header, for WAL has the rest; one that shrank is filled up with zeros, which replay
 * cuts off again. An I/O error is none of these and is thrown.
 */
import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { bytesOf, textOf } from '../byte-string.ts';
import { isErrno } from '../errno.ts';
import { UserError } from '../errors.ts';
import { firstBlock } from '../postgres/relation-file.ts';
import { paddingAfter, tarHeader } from '../tar/header.ts';
import { UnsoundPages } from './damage.ts';
import { PageReader } from './page-reader.ts';
import type { PackedPart, PageRules, PartMember, PartOrder } from './part-protocol.ts';
import { type ChunkSink, PartWriter } from './part-writer.ts';

const TABLESPACE_MEMBER = /^pg_tblspc\/(\d+)\//;

export interface PackOptions {
  readonly pages: PageRules | undefined;
  readonly hashed: boolean;
  readonly sink: ChunkSink;
  /** Told of every piece that was read; may block (rate limit). */
  readonly read: (bytes: number) => void;
  /** Instead of sleeping before an unsound page is read again. */
  readonly wait?: ((milliseconds: number) => void) | undefined;
}

export function packPart(order: PartOrder, options: PackOptions): PackedPart {
  return new Packing(order, options).run();
}

class Packing {
  readonly #order: PartOrder;
  readonly #options: PackOptions;
  readonly #writer: PartWriter;
  readonly #pages: PageReader | undefined;
  readonly #unsound: UnsoundPages;
  #members = 0;
  #expandedSize = 0;
  readonly #tablespaceBytes = new Map<string, number>();
  #vanished = 0;
  #shortened = 0;

  constructor(order: PartOrder, options: PackOptions) {
    this.#order = order;
    this.#options = options;
    this.#unsound = new UnsoundPages(order.start);
    const { hashed, sink } = options;
    this.#writer = new PartWriter({ mtimeSeconds: order.mtimeSeconds, hashed, sink });
    if (options.pages !== undefined) {
      this.#pages = new PageReader({
        rules: options.pages,
        unsound: (page) => this.#unsound.add(page),
        wait: options.wait,
      });
    }
  }

  run(): PackedPart {
    for (const member of this.#order.members) this.#pack(member);
    return {
      ...this.#writer.end(),
      members: this.#members,
      expandedSize: this.#expandedSize,
      tablespaceBytes: this.#tablespaceBytes,
      vanished: this.#vanished,
      shortened: this.#shortened,
      unsound: this.#unsound.found(),
    };
  }

  #pack(member: PartMember): void {
    if ('path' in member && member.kind === 'file') {
      this.#packFile(member, member.path);
      return;
    }
    this.#begin(member);
    if (!('content' in member)) return;
    this.#writer.write(member.content);
    this.#writer.zeros(paddingAfter(member.size));
  }

  #begin(member: PartMember): void {
    this.#writer.write(tarHeader(member));
    this.#members += 1;
    this.#expandedSize += member.size;
    const oid = TABLESPACE_MEMBER.exec(member.name)?.[1];
    if (oid !== undefined)
      this.#tablespaceBytes.set(oid, (this.#tablespaceBytes.get(oid) ?? 0) + member.size);
  }

  #packFile(member: PartMember, path: string): void {
    const file = openPresent(path);
    if (file === undefined) {
      this.#vanished += 1;
      return;
    }
    try {
      const { size, mtimeMs } = file.stat;
      this.#begin({ ...member, size, mtimeMs });
      const read = this.#copy(file.descriptor, size, member.name);
      if (read < size) {
        this.#shortened += 1;
        this.#writer.zeros(size - read);
      }
      this.#writer.zeros(paddingAfter(size));
    } catch (error) {
      throw readError(path, error);
    } finally {
      closeSync(file.descriptor);
    }
  }

  /** Bytes copied: fewer than `size` when the file became shorter. */
  #copy(descriptor: number, size: number, name: string): number {
    const read = this.#reader(descriptor, name);
    let at = 0;
    while (at < size) {
      const room = this.#writer.room();
      const bytes = read(at, room.length > size - at ? room.subarray(0, size - at) : room);
      if (bytes === 0) break;
      this.#options.read(bytes);
      this.#writer.advance(bytes);
      at += bytes;
    }
    return at;
  }

  #reader(descriptor: number, name: string): (at: number, room: Uint8Array) => number {
    const pages = this.#pages;
    const first =
      this.#options.pages === undefined ? undefined : firstBlock(name, this.#options.pages.segmentBlocks);
    if (pages === undefined || first === undefined) {
      return (at, room) => readSync(descriptor, room, 0, room.length, at);
    }
    return (at, room) => pages.read({ descriptor, name, firstBlock: first }, at, room);
  }
}

/** undefined when the file vanished, or is no regular file any more. */
function openPresent(path: string): { descriptor: number; stat: Stats } | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(bytesOf(path), 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw readError(path, error);
  }
  const stat = fstatSync(descriptor);
  if (stat.isFile()) return { descriptor, stat };
  closeSync(descriptor);
  return undefined;
}

function readError(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  return new UserError('could not read a file of the cluster', {
    detail: `"${textOf(path)}": ${message}`,
    hint: code === 'EACCES' ? 'Run as the user who owns the data directory.' : undefined,
    cause: error,
  });
}
