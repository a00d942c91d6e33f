/** Clients that write while something else happens: transfers between accounts, so that their sum stays what it is. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Cluster } from './postgres.ts';

export interface WriteLoad {
  /** Transfers that were committed so far. */
  readonly transfers: () => number;
  /** Resolves when the clients have ended. */
  stop(): Promise<void>;
}

const ACCOUNTS = 1000;
/** Between two rounds of a client: all WAL that is written has to be archived, fetched and replayed. */
const PAUSE_MS = 20;

export async function createAccounts(cluster: Cluster): Promise<void> {
  await cluster.query(`create table account (id int primary key, balance bigint not null, filler text not null);
    insert into account select g, 1000, repeat('x', 400) from generate_series(1, ${ACCOUNTS}) g;
    create table transfer (id bigserial primary key, amount bigint not null)`);
}

/** What must hold at every moment, also of a restored copy. Gives the number of transfers. */
export async function checkAccounts(cluster: Cluster): Promise<number> {
  const [row] = await cluster.query(`select (select sum(balance) from account)::text as total,
    (select count(*) from account)::text as accounts, (select count(*) from transfer)::text as transfers,
    (select max(id) from transfer)::text as last`);
  if (row?.total !== String(ACCOUNTS * 1000) || row.accounts !== String(ACCOUNTS)) {
    throw new Error(`the accounts do not add up: ${JSON.stringify(row)}`);
  }
  return Number(row.transfers);
}

export function startWriting(cluster: Cluster, clients = 2): WriteLoad {
  let going = true;
  let count = 0;
  const work = async (number: number, session: pg.Client) => {
    // Each client has accounts of its own, so that none waits for another.
    const share = Math.floor(ACCOUNTS / clients);
    const account = (step: string) => `${number * share + 1} + (${step}) % ${share}`;
    for (let round = 0; going; round += 1) {
      await session.query(`do $$ begin
        for i in 1..20 loop
          update account set balance = balance - i where id = ${account(`i * 37 + ${round}`)};
          update account set balance = balance + i where id = ${account(`i * 41 + ${round * 7}`)};
          insert into transfer (amount) values (i);
        end loop; end $$;
        create table passing_${number} as select g from generate_series(1, 100) g;
        drop table passing_${number}`);
      count += 20;
      await delay(PAUSE_MS);
    }
  };
  const client = async (number: number) => {
    const session = new pg.Client({
      host: cluster.socketDirectory,
      port: cluster.port,
      user: cluster.user,
      database: 'postgres',
    });
    // A server that is stopped meanwhile fails the query, which is enough.
    session.on('error', () => undefined);
    await session.connect();
    try {
      await work(number, session);
    } finally {
      await session.end();
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  all.catch(() => undefined);
  return {
    transfers: () => count,
    async stop() {
      going = false;
      await all;
    },
  };
}
