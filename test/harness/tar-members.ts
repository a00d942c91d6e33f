/** A tar file taken apart without any reader of ours: for each member its PAX records and its header as it stands there. */

export interface TarMember {
  readonly rawName: string;
  /** Records of the PAX header in front of it. */
  readonly pax: readonly string[];
  readonly content: Buffer;
  /**
   * The 512 bytes in hex, without the owner's names (those of the machine), the checksum, and `without`. The owner's
   * numbers are left out too where only root could have given the file to its owner.
   */
  header(without: readonly 'name'[]): string;
}

const BLOCK = 512;

export function tarMembers(tar: Buffer): TarMember[] {
  const members: TarMember[] = [];
  let pax: string[] = [];
  for (let at = 0; tar[at] !== 0; ) {
    const header = tar.subarray(at, at + BLOCK);
    const size = Number.parseInt(text(header, 124, 11), 8);
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (text(header, 156, 1) === 'x') {
      pax = content.toString('latin1').split('\n').filter(Boolean);
      continue;
    }
    members.push(member(header, pax, content));
    pax = [];
  }
  return members;
}

function member(header: Buffer, pax: readonly string[], content: Buffer): TarMember {
  const prefix = text(header, 345, 155);
  return {
    rawName: prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`,
    pax,
    content,
    header(without) {
      const copy = Buffer.from(header);
      copy.fill(0, 148, 156);
      copy.fill(0, 265, 329);
      if (process.getuid?.() !== 0) copy.fill(0, 108, 124);
      if (without.includes('name')) copy.fill(0, 0, 100);
      return copy.toString('hex');
    },
  };
}

function text(header: Buffer, at: number, bytes: number): string {
  return header.toString('latin1', at, at + bytes).replace(/\0.*$/s, '');
}
