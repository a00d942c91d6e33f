/** Entry of the program. */
import { VERSION } from './program.ts';

process.stdout.write(`${VERSION}\n`);
