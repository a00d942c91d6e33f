import { expect, it } from 'vitest';
import { processorFamily } from '../../bench/processor.ts';

it.each([
  ['AMD EPYC 9R14 96-Core Processor', 'AMD EPYC'],
  ['AMD EPYC Processor', 'AMD EPYC'],
  ['Intel(R) Xeon(R) Platinum 8488C', 'Intel Xeon Platinum'],
  ['Intel(R) Xeon(R) Processor @ 2.60GHz', 'Intel Xeon'],
  ['', ''],
])('%s is of the family %s', (model, family) => {
  expect(processorFamily(model)).toBe(family);
});
