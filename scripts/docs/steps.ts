import type { Fence, Page } from './page.ts'

/**
 * What a page tells its reader to do, as test/e2e/docs.e2e.ts does it. Every block
 * of such a page says by what stands behind its fence what it is:
 *
 * `sh`                 commands, which succeed
 * `sh fails`           commands, of which the last one fails
 * `output`             what the commands before it print, as `isAsShown` compares it
 * `yaml dev.yaml`      a file that the reader writes, by its name
 * `… not run: REASON`  of any language: nothing that a test can do here, and why
 */
export type Step = { line: number } & (
  | { kind: 'commands'; script: string; fails: boolean; output: string | undefined }
  | { kind: 'file'; name: string; text: string }
  | { kind: 'notRun'; reason: string }
)

const stepOf = ({ info, text, line }: Fence, where: string): Step => {
  const [, reason] = /^\w+ not run: (\S.*)$/.exec(info) ?? []
  if (reason !== undefined) return { kind: 'notRun', line, reason }
  if (info === 'sh' || info === 'sh fails')
    return { kind: 'commands', line, script: text, fails: info !== 'sh', output: undefined }
  const [, name] = /^\w+ ([\w-]+\.\w+)$/.exec(info) ?? []
  if (name !== undefined) return { kind: 'file', line, name, text }
  throw new Error(
    `${where}: "${info}" says not what the block is: sh, sh fails, output, yaml FILE.yaml, or LANGUAGE not run: REASON`,
  )
}

/** @throws when a block does not say what it is, with its place */
export const stepsOf = ({ path, fences }: Page): Step[] => {
  const steps: Step[] = []
  for (const fence of fences) {
    const where = `${path}:${fence.line}`
    if (fence.info !== 'output') {
      steps.push(stepOf(fence, where))
      continue
    }
    const before = steps.at(-1)
    if (before?.kind === 'notRun') continue
    if (before?.kind !== 'commands' || before.output !== undefined)
      throw new Error(`${where}: an output stands behind the commands that print it`)
    before.output = fence.text
  }
  return steps
}

const literally = (text: string): string =>
  text
    .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\s+/g, '\\s+')
    .replaceAll('…', '.*')

/**
 * Whether a program printed what a page shows. A line `…` stands for any lines, `…` within one for any text in it;
 * how wide a gap is makes no difference.
 */
export const isAsShown = (printed: string, shown: string): boolean => {
  const lines = shown.trimEnd().split('\n')
  const pattern = lines.map((line) => (line.trim() === '…' ? '(?:.*\\n)*?' : `${literally(line.trimEnd())}\\s*?\\n`))
  return new RegExp(`^${pattern.join('')}$`).test(`${printed.trimEnd()}\n`)
}
