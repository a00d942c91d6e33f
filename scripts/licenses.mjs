// dist/THIRD-PARTY-LICENSES.txt: the licence of every package that is inside the program. Which those are is read from
// esbuild's metafiles, so that none is forgotten; a licence that was not thought about fails the build.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const KNOWN = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unlicense',
]);
const LICENSE_FILE = /^(licen[cs]e|copying|notice)/i;
const RULE = '-'.repeat(80);

/** `further`: folders of packages that no bundler saw. */
export function licenses(root, metafiles, further) {
  const folders = new Set(further);
  for (const input of metafiles.flatMap(({ inputs }) => Object.keys(inputs))) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder !== undefined) folders.add(folder);
  }
  const packages = new Map([...folders].map((folder) => describe(join(root, folder))));
  const sections = [...packages].sort(([a], [b]) => (a < b ? -1 : 1));
  const head = `The program contains code of the following ${sections.length} packages, under their licences.\n`;
  const texts = sections.map(
    ([title, one]) => `${RULE}\n${title}\n\n${one.text ?? sameText(one, sections)}\n`,
  );
  return [head, ...texts].join('\n');
}

function describe(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (!KNOWN.has(license)) throw new Error(`${name} is under a licence to be thought about: ${license}`);
  const files = readdirSync(folder).filter((file) => LICENSE_FILE.test(file));
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8').trim()).join('\n\n');
  return [`${name} ${version} (${license})`, { name, license, author, text: text || undefined }];
}

/** Some packages name a licence without enclosing its text. */
function sameText({ name, license, author }, sections) {
  const other = sections.find(([, { license: theirs, text }]) => theirs === license && text !== undefined);
  if (other === undefined) throw new Error(`${name} comes without the text of its licence`);
  const by = typeof author === 'string' ? author : author?.name;
  return `${by === undefined ? '' : `By ${by}. `}The text of the licence is the one under ${other[0]}.`;
}
