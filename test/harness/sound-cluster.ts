/** Whether a server's data is sound, as pg_amcheck would find out: every table, every B-tree, every page. */
import { expect } from 'vitest';
import type { Cluster } from './postgres.ts';

/** Reads every value of every table, and so what is toasted. */
const READ_ALL = `do $$ declare r regclass; n bigint; begin
  for r in select oid from pg_class where relkind in ('r', 'm') and relpersistence = 'p' loop
    execute format('select sum(length(t::text)) from %s t', r) into n;
  end loop; end $$`;

/** The server must take writes. Each index is compared with its table, from version 11 on row by row. */
export async function expectSound(cluster: Cluster): Promise<void> {
  await cluster.query(READ_ALL);
  await cluster.query('create extension if not exists amcheck');
  const check = cluster.version >= 11 ? 'bt_index_parent_check(c.oid, true)' : 'bt_index_parent_check(c.oid)';
  const [indexes] = await cluster.query(`select count(${check}::text), count(*) as number from pg_class c
    join pg_am a on a.oid = c.relam and a.amname = 'btree' join pg_index i on i.indexrelid = c.oid
    where c.relpersistence = 'p' and i.indisvalid and i.indisready`);
  expect(Number(indexes?.number)).toBeGreaterThan(100);
  if (cluster.version < 14) return;
  const damaged = `select c.relname, v.msg from pg_class c,
    lateral verify_heapam(c.oid, check_toast => true) v where c.relkind in ('r', 't', 'm') and c.relpersistence = 'p'`;
  expect(await cluster.query(damaged)).toEqual([]);
}
