// Lets this Node run TypeScript as it lies here: node --import ./scripts/typescript.mjs FILE.ts
// (the benchmarks and the demo; the program itself is built by build.mjs).
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
