/** Which versions of PostgreSQL a system test runs on. */
import { NEWEST_POSTGRES, OLDEST_POSTGRES } from './staging.ts';

/** The oldest and the newest; all of them with WALE_TEST_ALL_VERSIONS=1. */
export const TESTED_VERSIONS: readonly number[] =
  process.env.WALE_TEST_ALL_VERSIONS === '1'
    ? Array.from({ length: NEWEST_POSTGRES - OLDEST_POSTGRES + 1 }, (_, i) => OLDEST_POSTGRES + i)
    : [OLDEST_POSTGRES, NEWEST_POSTGRES];
