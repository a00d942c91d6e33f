/**
 * `tablespace_map`: PostgreSQL replaces the links in pg_tblspc by what it says when it starts from a backup, so it must
 * name the new places, or the restored server would work on the source's files. A line is an oid, a space and a path in
 * which a backslash stands before line feed, carriage return and backslash (PostgreSQL: read_tablespace_map).
 */

/** Oid -> path. Lines that PostgreSQL would not take either are left out. */
export function parseTablespaceMap(text: string): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  let line = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\' && at + 1 < text.length) {
      at += 1;
      line += text.charAt(at);
    } else if (character === '\n' || character === '\r') {
      addLine(line, entries);
      line = '';
    } else {
      line += character;
    }
  }
  addLine(line, entries);
  return entries;
}

export function formatTablespaceMap(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([oid, path]) => `${oid} ${path.replace(/[\n\r\\]/g, '\\$&')}\n`).join('');
}

function addLine(line: string, entries: Map<string, string>): void {
  const [, oid, path] = /^(\d{1,10}) (.+)$/s.exec(line) ?? [];
  if (oid !== undefined && path !== undefined) entries.set(oid, path);
}
