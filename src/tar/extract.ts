/**
 * Writes members below a directory, safely even when the archive is hostile. While it runs there is no symbolic link
 * below the roots that a path could go through: links in the archive are only noted (the caller makes them when all
 * members are written), and every folder on the way is checked. Files are new files: what had their name is replaced,
 * never written into, so that hard links and symbolic links lying around lead nowhere.
 *
 * Calls are synchronous: this runs on a worker thread, where they are the fastest way to write.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lstatSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { byteString, bytesOf } from '../byte-string.ts';
import { isErrno } from '../errno.ts';
import { Folders, type Ids } from './folders.ts';
import type { Member } from './member.ts';
import { MemberError, shown } from './member-error.ts';
import type { OwnerOf } from './owner.ts';
import { SyncQueue } from './sync-queue.ts';
import type { MemberSink } from './untar.ts';

export interface ExtractOptions {
  /** The data directory: absolute, there already. */
  readonly root: string;
  /** Member path of a folder -> the absolute directory, there already, that stands for it (tablespaces). */
  readonly mounts: ReadonlyMap<string, string>;
  /** Member path of a file -> the path below the root where it waits until the caller moves it. */
  readonly staged: ReadonlyMap<string, string>;
  /** Why a member must not be extracted; undefined when it may. */
  readonly refusal: (member: Member) => string | undefined;
  /** undefined: files belong to whoever runs this. */
  readonly ownerOf: OwnerOf | undefined;
  /**
   * Milliseconds since 1970: a file found in a member's place that changed later was extracted by this run, so the archive
   * holds the name twice. undefined when the part is extracted again: then its own files may be there.
   */
  readonly duplicatesSince: number | undefined;
}

/** Both byte strings. */
export interface NotedLink {
  readonly path: string;
  readonly target: string;
}

export interface Extracted {
  readonly members: number;
  /** Those that are files. */
  readonly files: number;
  /** Sum of the members' sizes, bytes. */
  readonly bytes: number;
  readonly links: readonly NotedLink[];
}

const MAX_LINKS = 10_000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class Extractor implements MemberSink {
  readonly #options: ExtractOptions;
  /** The root and the mounts' directories as byte strings, as all paths in here are. */
  readonly #root: string;
  readonly #mounts: ReadonlyMap<string, string>;
  readonly #folders = new Folders();
  readonly #syncs = new SyncQueue();
  readonly #links: NotedLink[] = [];
  #members = 0;
  #files = 0;
  #bytes = 0;
  #file:
    | { readonly descriptor: number; readonly member: Member; readonly owner: Ids | undefined }
    | undefined;

  constructor(options: ExtractOptions) {
    this.#options = options;
    this.#root = byteString(options.root);
    this.#mounts = new Map([...options.mounts].map(([path, directory]) => [path, byteString(directory)]));
  }

  get bytes(): number {
    return this.#bytes;
  }

  begin(member: Member): void {
    const reason = this.#options.refusal(member);
    if (reason !== undefined) throw refused(member, reason);
    this.#members += 1;
    const owner = this.#options.ownerOf?.(member);
    if (member.kind === 'file') this.#create(member, owner);
    else if (member.kind === 'directory') this.#folder(member, owner);
    else this.#note(member);
  }

  data(bytes: Uint8Array): void {
    if (this.#file === undefined) throw new Error('content without a file');
    this.#bytes += bytes.length;
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#file.descriptor, bytes, done, bytes.length - done);
  }

  end(): void {
    if (this.#file === undefined) return;
    const { descriptor, member, owner } = this.#file;
    // Owner before mode: a change of owner may take bits away.
    if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid);
    fchmodSync(descriptor, member.mode);
    futimesSync(descriptor, member.mtimeSeconds, member.mtimeSeconds);
    this.#file = undefined;
    this.#syncs.add(descriptor);
  }

  /** To be awaited between blocks when it is not undefined. */
  throttle(): Promise<void> | undefined {
    return this.#syncs.throttle();
  }

  /** Resolves when all that was extracted is durable. */
  async finish(): Promise<Extracted> {
    await this.#syncs.drain();
    this.#folders.sync();
    return { members: this.#members, files: this.#files, bytes: this.#bytes, links: this.#links };
  }

  /** After a failure: closes what is open. Resolves when no call on a file is outstanding. */
  async abort(): Promise<void> {
    if (this.#file !== undefined) closeSync(this.#file.descriptor);
    this.#file = undefined;
    await this.#syncs.drain().catch(() => undefined);
  }

  #create(member: Member, owner: Ids | undefined): void {
    if (this.#mounts.has(member.path)) throw refused(member, 'a directory must be there');
    const { base, relative } = this.#place(this.#options.staged.get(member.path) ?? member.path);
    const slash = relative.lastIndexOf('/');
    const folder = this.#folders.ensure(base, relative.slice(0, Math.max(0, slash)), owner);
    const path = `${folder}/${relative.slice(slash + 1)}`;
    this.#file = { descriptor: this.#open(path, member), member, owner };
    this.#files += 1;
  }

  #open(bytes: string, member: Member): number {
    const path = bytesOf(bytes);
    try {
      return openSync(path, NEW_FILE, 0o600);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
    const there = lstatSync(path);
    if (there.isDirectory()) throw refused(member, 'a directory with its name is there');
    const since = this.#options.duplicatesSince;
    if (since !== undefined && there.ctimeMs > since)
      throw refused(member, 'the archive holds it twice, and only one of them can be right');
    unlinkSync(path);
    return openSync(path, NEW_FILE, 0o600);
  }

  #folder(member: Member, owner: Ids | undefined): void {
    const { base, relative } = this.#place(member.path);
    this.#folders.restrict(this.#folders.ensure(base, relative, owner), member.mode, owner);
  }

  #note(member: Member): void {
    if (this.#links.length >= MAX_LINKS)
      throw refused(member, `it is one of over ${MAX_LINKS} symbolic links`);
    this.#links.push({ path: member.path, target: member.linkTarget });
  }

  /** The longest mount that holds the path, or the root. */
  #place(path: string): { readonly base: string; readonly relative: string } {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const base = this.#mounts.get(path.slice(0, end));
      if (base !== undefined) return { base, relative: path.slice(end + 1) };
    }
    return { base: this.#root, relative: path };
  }
}

function refused(member: Member, reason: string): MemberError {
  return new MemberError('refusing a member of the base backup', {
    detail: `The member ${shown(member.path)}: ${reason}.`,
  });
}
