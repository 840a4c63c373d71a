/**
 * Loads the program beside this file with V8's code for it: of the functions that an
 * earlier start has run. Node's own cache is written at the end of a process, which
 * never comes here: the process becomes the command.
 *
 * usage: lamina.cjs ARGUMENT...    ($LAMINA_CODE: the file that keeps the code)
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire, wrap } from 'node:module'
import { dirname, join } from 'node:path'
import { Script } from 'node:vm'
import { markLength } from './build-mark.ts'
import { offerToKeep } from './kept-code.ts'

const program = join(dirname(process.argv[1] ?? ''), 'lamina-program.cjs')
const { LAMINA_CODE: keptAt } = process.env

const text = readFileSync(program, 'utf8')
const mark = Buffer.from(text.slice(-markLength))

const readKept = (): Buffer | undefined => {
  if (keptAt === undefined) return undefined
  try {
    const kept = readFileSync(keptAt)
    return kept.subarray(0, markLength).equals(mark) ? kept.subarray(markLength) : undefined
  } catch {
    return undefined
  }
}

const cachedData = readKept()
const script = new Script(wrap(text), { filename: program, ...(cachedData ? { cachedData } : {}) })

const keep = (path: string): void => {
  const staging = `${path}.${process.pid}`
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  writeFileSync(staging, Buffer.concat([mark, script.createCachedData()]), { mode: 0o644 })
  renameSync(staging, path)
}

if (keptAt !== undefined && (cachedData === undefined || script.cachedDataRejected)) offerToKeep(() => keep(keptAt))

const require = createRequire(program)
const module = { exports: {} }
script.runInThisContext()(module.exports, require, module, program, dirname(program))
