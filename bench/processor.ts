/** The kind of processor that ratios were measured on: another kind gives other ratios, by a third and more. */
import { cpus } from 'node:os';

/** Its names without its numbers, as `AMD EPYC` and `Intel Xeon Platinum`: those differ from one rented machine to the next. */
export function processorFamily(model = cpus()[0]?.model ?? ''): string {
  const words = model.replace(/\((?:R|TM)\)/gi, '').split(/\s+/);
  return words.filter((word) => /^[A-Za-z]+$/.test(word) && !/^(?:CPU|Processor)$/i.test(word)).join(' ');
}
