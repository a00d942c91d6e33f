import { expect, test } from 'vitest';
import { documentedCommands, outputPattern } from '../harness/console-blocks.ts';

const page = `# Title

\`\`\`console
$ wal-e version
2.0.0
$ wal-e \\
    backup-list
name …
\`\`\`

\`\`\`ini
$ not a command
\`\`\`

\`\`\`console fails
$ cat <<'END' > file
$ inside
END
$ false
\`\`\`
`;

test('commands are taken from console blocks with their output, lines and continuations', () => {
  expect(documentedCommands(page)).toEqual([
    { text: 'wal-e version', output: ['2.0.0'], fails: false, line: 4 },
    { text: 'wal-e \\\n    backup-list', output: ['name …'], fails: false, line: 6 },
    { text: "cat <<'END' > file\n$ inside\nEND", output: [], fails: false, line: 16 },
    { text: 'false', output: [], fails: true, line: 19 },
  ]);
});

test('shown output matches with its wildcards, and only so', () => {
  const pattern = outputPattern(['name  size', '…', 'base_… 40 MB']);
  expect('name size\nother\nmore\nbase_01 40 MB\n').toMatch(pattern);
  expect('name size\nbase_01 40 MB\n').toMatch(pattern);
  expect('name size\nbase_01 41 MB\n').not.toMatch(pattern);
  expect('name size\nbase_01 40 MB\nmore\n').not.toMatch(pattern);
});
