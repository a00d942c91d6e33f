/** Memory that is in use, without garbage: when that is collected depends on how busy the machine is. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** As `process.memoryUsage()`, after a collection of all garbage. */
export function retained(): NodeJS.MemoryUsage {
  collect();
  // Buffers found in a collection are freed on another thread, which the next one waits for.
  collect();
  return process.memoryUsage();
}
