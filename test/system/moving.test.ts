/**
 * The life of an archive that WAL-E 1.1.1 began: the commands of docs/moving-from-wal-e.md on its running primary and
 * standby, then a failover, retention, and restores from before and after the move.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Host } from '../harness/host.ts';
import { hasLzop } from '../harness/lzop.ts';
import { createPageHost, followPage, serverLogs } from '../harness/page.ts';

const PAGE = 'docs/moving-from-wal-e.md';
const WALE = 'wal-e --envdir /etc/wal-e.d/env --terse';
const SERVERS = '/var/lib/postgresql/14';
const STANDBY = 'psql -h /srv/standby-socket -p 5434';
const GOLDEN = 'base_00000001000000000000000B_00000040';

interface Expected {
  readonly queries: Readonly<Record<string, string>>;
  readonly expected: Readonly<Record<string, { readonly tables: Readonly<Record<string, Table>> }>>;
}
interface Table {
  readonly rows: number;
  readonly md5: string;
}
const facts: Expected = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../fixtures/golden/seg1/expected.json', import.meta.url)), 'utf8'),
);

describe.runIf(hasLzop)('an archive that WAL-E began', () => {
  let host: Host;

  beforeAll(async () => {
    host = await createPageHost(PAGE);
  });
  afterAll(() => host.dispose());

  async function must(command: string): Promise<string> {
    const { status, output } = await host.run(command);
    expect(status, `$ ${command}\n${output}\n${serverLogs(host)}`).toBe(0);
    return output;
  }

  async function backups(): Promise<string[]> {
    const lines = (await must(`${WALE} backup-list`)).split('\r\n').slice(1, -1);
    return lines.map((line) => line.split('\t')[0] ?? '').sort();
  }

  /** Restores beside the others, lets it recover to the end of the archive, asks it, and removes it. */
  async function restored(backup: string, queries: readonly string[]): Promise<string[]> {
    const data = `${SERVERS}/restored`;
    const ask = 'psql -h /srv/restored-socket -p 5433 -Atc';
    await must(`${WALE} backup-fetch --recovery-conf --tablespace 16384=/srv/restored_ts ${data} ${backup}`);
    await must(`cp ${SERVERS}/main/{postgresql,pg_hba,pg_ident}.conf ${data}/ && mkdir /srv/restored-socket`);
    const options = '-c port=5433 -c unix_socket_directories=/srv/restored-socket -c archive_mode=off';
    await must(`pg_ctl -D ${data} -l /var/log/postgresql/restored.log -w start -o "${options}"`);
    await must(`until ${ask} 'SELECT pg_is_in_recovery()' | grep -q f; do sleep 0.1; done`);
    const answers = [];
    for (const query of queries) answers.push((await must(`${ask} "${query}"`)).trim());
    await must(`pg_ctl -D ${data} -m immediate -w stop`);
    await must(`rm -r ${data} /srv/restored_ts /srv/restored-socket`);
    return answers;
  }

  test('moves with the commands of the page, on a running primary and its standby', async () => {
    await followPage(host, PAGE);
    const [golden, ours, ...more] = await backups();
    expect([golden, ours, more]).toEqual([GOLDEN, expect.stringMatching(/^base_00000002/), []]);
    // Its restore_command was changed by a reload: from then on the lines are this program's.
    expect(await must('cat /var/log/postgresql/standby.log')).toMatch(/MSG: complete wal restore\n/);
  });

  test('a failover to the standby goes on in the same archive, on timeline 3', async () => {
    await must(`psql -qc "INSERT INTO moved VALUES (now())"`);
    await must('wait-archived');
    await must(`pg_ctl -D ${SERVERS}/main -m fast -w stop`);
    await must(`pg_ctl -D ${SERVERS}/standby -w promote`);
    await must(`${STANDBY} -Atqc "INSERT INTO moved VALUES (now())" -c "SELECT pg_switch_wal()"`);
    await must(
      `until ${STANDBY} -Atc "SELECT last_archived_wal LIKE '00000003%' FROM pg_stat_archiver" | grep -q t; do sleep 0.1; done`,
    );
    expect(await must(`${STANDBY} -Atc "SELECT count(*) FROM moved"`)).toBe('4\n');
    expect(await must('ls /srv/archive/wal_005')).toContain('00000003.history.lzo');
    await must(`PGHOST=/srv/standby-socket PGPORT=5434 ${WALE} backup-push ${SERVERS}/standby`);
    expect(await backups()).toHaveLength(3);
    expect(await must(`${WALE} wal-verify --read`)).toContain(
      'All backups can be restored to the end of the WAL.',
    );
  });

  test("WAL-E's backup restores to the end: through its own WAL, over the switch, through ours", async () => {
    const tables = Object.entries(facts.expected['recovery_target_timeline=latest']?.tables ?? {}).filter(
      ([name]) => name !== 't_unlogged',
    );
    const queries = tables.map(([name]) => (facts.queries[name] ?? '').replaceAll('\\', '\\\\'));
    const [moved, ...found] = await restored(GOLDEN, ['SELECT count(*) FROM moved', ...queries]);
    expect(moved).toBe('4');
    expect(found).toEqual(tables.map(([name, { rows, md5 }]) => `${name}|${rows}|${md5}`));
  });

  test('delete removes what only the backup of WAL-E needed, and what is left restores', async () => {
    const [, first = '', second = ''] = await backups();
    const planned = await must(`wal-e --envdir /etc/wal-e.d/env delete before ${first}`);
    expect(planned).toContain('This is only a dry run -- no actual data is being deleted');
    expect(planned).toContain(`wal_005/00000001000000000000000C.lzo`);
    expect(await backups()).toHaveLength(3);
    await must(`${WALE} delete --confirm before ${first}`);
    expect(await backups()).toEqual([first, second]);
    const left = await must('ls /srv/archive/wal_005');
    expect(left).not.toMatch(/00000001000000000000000[A-D]\.lzo/);
    expect(left).toContain('00000002.history.lzo');
    expect(await must(`${WALE} wal-verify --read`)).toContain(
      'All backups can be restored to the end of the WAL.',
    );
    for (const backup of [first, 'LATEST'])
      expect(await restored(backup, ['SELECT count(*) FROM moved'])).toEqual(['4']);
  });
});
