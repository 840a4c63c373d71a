/**
 * Makes the pictures of the documentation anew, from the real programs on a real cluster.
 *
 * usage: npm run pictures
 *        npm run pictures -- lamina console --cluster scratch
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Argument, Command } from 'commander'
import { photographConsole } from './pictures/console.ts'
import { drawRealDashboard } from './pictures/dashboard/dashboard.ts'
import { recordKubectl, recordLamina, recordPlugin } from './pictures/recordings.ts'
import { openStage, root, type Stage } from './pictures/stage.ts'

/** By file name in docs/pictures. */
const pictures: Readonly<Record<string, (stage: Stage) => Promise<string | Buffer>>> = {
  'lamina.svg': recordLamina,
  'kubectl.svg': recordKubectl,
  'kubectl-lamina.svg': recordPlugin,
  'console.png': photographConsole,
  'dashboard.svg': drawRealDashboard,
}

const nameOf = (file: string): string => file.replace(/\.\w+$/, '')

const report = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const make = async (names: readonly string[], { cluster }: { cluster: string }): Promise<void> => {
  const stage = await openStage(cluster, report)
  const dir = join(root, 'docs/pictures')
  mkdirSync(dir, { recursive: true })
  for (const [file, draw] of Object.entries(pictures)) {
    if (names.length > 0 && !names.includes(nameOf(file))) continue
    report(`${file}:`)
    const picture = await draw(stage)
    writeFileSync(join(dir, file), picture)
    report(`  ${Math.ceil(picture.length / 1024)} KiB`)
  }
}

const program = new Command('pictures')
  .description('The pictures of docs/pictures anew, on a cluster that stays up')
  .addArgument(new Argument('[names...]', 'which; all of them without').choices(Object.keys(pictures).map(nameOf)))
  .option('--cluster <name>', 'where', 'dev')
  .action(make)

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
