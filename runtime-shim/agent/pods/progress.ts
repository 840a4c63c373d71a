import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasPrepare } from '../../../kube/prepare-container.ts'
import type { Pod } from '../../../kube/resources.ts'
import { readJson, writeJson } from '../../node/json-file.ts'
import type { podPaths } from '../../node/layout.ts'
import { type PrepareResult, prepareResultSchema } from '../../node/ticket.ts'

/** What `prepare` shows in `kubectl logs`: lines while the agent works, and how it ended. */
export interface Progress {
  line(text: string): void
  end(result: PrepareResult): void
  ended(): boolean
}

const silence: Progress = { line: () => {}, end: () => {}, ended: () => true }

export const progressOf = (pod: Pod, { progress }: Pick<ReturnType<typeof podPaths>, 'progress'>): Progress => {
  if (!hasPrepare(pod)) return silence
  const result = join(progress, 'result.json')
  const write = (act: () => void): void => {
    mkdirSync(progress, { recursive: true })
    act()
  }
  return {
    line: (text) => write(() => appendFileSync(join(progress, 'log'), `${text}\n`)),
    end: (value) => write(() => writeJson(result, value)),
    ended: () => readJson(result, prepareResultSchema) !== undefined,
  }
}
